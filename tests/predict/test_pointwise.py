"""Test operations for each element: what has an index counts, the rest does not."""

import pytest
from sympy import IndexedBase, Max, exp, sqrt, symbols

from flopbook.predict import evaluate, matmul
from flopbook.predict.pointwise import elements, operations

i, rate, decay, t = symbols("i eta lambda t", positive=True)
x, y, z = (IndexedBase(name)[i] for name in "xyz")


@pytest.mark.parametrize(
    ("expression", "count"),
    [
        (x, 0),
        (x + y, 1),
        (x + y + z, 2),
        (x + 1, 1),
        (x - y, 1),
        (y - x, 1),
        (-x, 1),
        (-x - y, 2),
        (3 - x, 1),
        (x * y, 1),
        (x - y * z, 2),
        (x - rate * y, 2),
        (x - rate * decay * y, 2),
        (x + (1 - rate) * (y - x), 3),
        (x / y, 1),
        (rate / x, 1),
        (1 / x, 1),
        (1 / (x * y), 2),
        (x / y**2, 2),
        (x / sqrt(y), 2),
        (x**2, 1),
        (x**rate, 1),
        (sqrt(x), 1),
        (exp(x), 1),
        (Max(0, x), 1),
        (Max(x, y, z), 2),
        (x / (1 + exp(-x)), 4),
        (sqrt(1 - decay**t) * x, 1),
    ],
    ids=str,
)
def test_operations_for_each_element(expression, count):
    assert operations(expression) == count


def test_several_expressions_add_up():
    assert operations(x + y, x - rate * z) == 3


def test_nothing_that_varies_is_refused():
    with pytest.raises(ValueError) as caught:
        operations(rate + 1)
    assert str(caught.value) == "eta + 1 is the same for all elements: give what varies an index, as in p[i]"


def test_elements_of_a_tensor():
    y = matmul("x[B,T,D] @ w[D,K] -> y[B,T,K]").output
    assert evaluate(elements(y), {"B": 2, "T": 3, "K": 5}) == 30
    assert elements(matmul("x[D] @ w[D] -> y[]").output) == 1
