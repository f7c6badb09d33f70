"""Test exact values of formulas, and the sizes that are refused."""

from fractions import Fraction

import numpy
import pytest
import sympy

from flopbook.predict import B, D, H, K, evaluate, matmul
from flopbook.predict.values import number, value_at

FLOPS = matmul("x[B,D] @ w[D,K] -> y[B,K]").flops


def test_a_count_is_an_int():
    value = evaluate(FLOPS, {"B": 4, "D": 3, "K": 2})
    assert (value, type(value)) == (48, int)


def test_past_what_a_float_can_hold():
    assert evaluate(FLOPS, {"B": 2**30 + 1, "D": 2**30 + 1, "K": 1}) == 2 * (2**30 + 1) ** 2 > 2**53


def test_a_ratio_is_a_fraction():
    value = evaluate((2 * K + D) / (K + D), {"D": 3, "K": 4})
    assert (value, type(value)) == (Fraction(11, 7), Fraction)


def test_a_whole_ratio_is_an_int():
    assert type(evaluate(6 * B * D / (2 * B), {"B": 5, "D": 7})) is int


def test_sizes_are_put_in_all_at_once():
    assert evaluate(sympy.Max(2, B / (2 * D * K)), {"B": 4, "D": 1, "K": 2}) == 2


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        (sympy.Max(B, D), 7), (sympy.Min(B, D), 4), (sympy.floor(D / B), 1), (sympy.ceiling(D / B), 2),
        (sympy.Mod(D, B), 3), (sympy.Abs(B - D, evaluate=False), 3), (sympy.sign(B - D, evaluate=False), -1),
        (sympy.log(D - 6), 0), (sympy.tanh(D - 7), 0),
    ],
)  # fmt: skip
def test_functions_that_grow_no_faster_than_their_arguments_are_evaluated(expression, value):
    assert evaluate(expression, {"B": 4, "D": 7}) == value


def test_an_amount_may_be_nothing_where_a_size_is_at_least_one():
    assert number("steps", 0) == 0
    with pytest.raises(ValueError, match="side=0 is not a size: write a whole number of at least 1"):
        number("side", 0, least=1)


def test_a_plain_number_is_its_own_value():
    assert evaluate(7, {}) == 7


def test_further_sizes_may_be_there():
    assert evaluate(2 * B, {"B": 3, "H": 5}) == 6


def test_sizes_may_come_from_numpy():
    value = evaluate(2 * B, {"B": numpy.int64(2**40)})
    assert (value, type(value)) == (2**41, int)


@pytest.mark.parametrize(
    ("sizes", "missing"),
    [({}, "B, D, K"), ({"B": 4, "K": 2}, "D"), ({"b": 4, "D": 3, "K": 2}, "B")],
)
def test_a_missing_size_is_named(sizes, missing):
    with pytest.raises(ValueError) as error:
        evaluate(FLOPS, sizes)
    assert str(error.value) == f"2*B*D*K needs a size for {missing}: write sizes=dict(B=..., D=..., K=...)"


@pytest.mark.parametrize("size", [0, -3, 2.0, 2.5, True, False, "2", None, Fraction(2)])
def test_what_is_not_a_size_is_quoted(size):
    with pytest.raises(ValueError) as error:
        evaluate(FLOPS, {"B": 4, "D": size, "K": 2})
    assert str(error.value) == f"D={size!r} is not a size: write a whole number of at least 1"


@pytest.mark.parametrize(("expression", "value"), [(1 / (B - H), "zoo"), (B**0.5, "1.41421356237310")])
def test_a_value_that_is_not_exact_is_refused(expression, value):
    with pytest.raises(ValueError) as error:
        evaluate(expression, {"B": 2, "H": 2})
    assert "has no exact value" in str(error.value)
    assert str(error.value).endswith(f"where it is {value}: give other sizes")


@pytest.mark.parametrize(
    ("expression", "sizes"),
    [
        (2**B, {"B": 10**12}),
        (B**20000, {"B": 2}),
        (B**-20000, {"B": 2}),
        ((1 / B) ** D, {"B": 3, "D": 10**9}),
        (B ** (D**K), {"B": 2, "D": 99, "K": 99}),
        (sympy.Max(1, 2**B) * sympy.ceiling(B / 3), {"B": 10**9}),
        (B, {"B": 10**4000}),
    ],
)
def test_a_value_that_would_fill_the_memory_is_refused_at_once(expression, sizes):
    with pytest.raises(ValueError) as error:
        evaluate(expression, sizes)
    assert str(error.value).endswith(": give sizes where it has at most 3,000 digits")


@pytest.mark.parametrize(
    ("expression", "sizes", "value"),
    [
        (B**3000, {"B": 2}, 2**3000),
        (2**B, {"B": 5000}, 2**5000),
        (2 ** (B - D), {"B": 10**12, "D": 10**12 - 1}, 2),
        (sympy.Add(*(B / (D + number) for number in range(60))), {"B": 2**40, "D": 2**40}, None),
        (sympy.Add(*(B**number for number in range(300))), {"B": 2}, 2**300 - 1),
        ((B / D) ** 40, {"B": 3**40, "D": 3**41}, Fraction(1, 3**40)),
    ],
)
def test_bounds_leave_room_for_long_formulas(expression, sizes, value):
    found = evaluate(expression, sizes)
    assert value is None or found == value


def test_numerator_and_denominator_may_have_ten_thousand_bits():
    most = 2**10_000 - 1
    assert evaluate(B, {"B": most}) == 1 / evaluate(1 / B, {"B": most}) == most
    assert evaluate(B / 2**10_000, {"B": 1}) == Fraction(1, 2**10_000)
    for expression, size in ((B, most + 1), (1 / B, most + 1), (B / 2**10_001, 1)):
        with pytest.raises(ValueError, match="is too large at"):
            evaluate(expression, {"B": size})


@pytest.mark.parametrize("symbol", [sympy.Symbol("B"), sympy.Symbol("B", positive=True), B])
def test_a_letter_is_known_by_its_name(symbol):
    assert evaluate(3 * symbol, {"B": 2}) == 6


@pytest.mark.parametrize("text", ["2*B", "__import__('os').system('exit 1')", "2" * 10**6])
def test_no_text_is_run(text):
    with pytest.raises(TypeError, match=r"is not an expression: write 2 [*] B, with B from flopbook.predict") as error:
        evaluate(text, {"B": 2})
    assert str(error.value).startswith(repr(text[:30])[:-1]) and len(str(error.value)) < 250


def test_a_root_of_a_value_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="is too large at"):
        evaluate(sympy.sqrt(B**40001 + 1), {"B": 10})


@pytest.mark.parametrize("expression", [B**1000, B**-1000, (B + D) ** 1000, (B * D) ** -1000], ids=str)
def test_a_power_of_a_size_that_is_too_long_is_refused(expression):
    with pytest.raises(ValueError, match="is too large at"):
        evaluate(expression, {"B": 10**6, "D": 10**6})


def test_a_huge_power_is_refused_without_working_it_out():
    with pytest.raises(ValueError, match="is too large at"):
        evaluate(B ** (D**60), {"B": 1, "D": 10**6})


def test_a_power_of_fractions_that_is_too_long_is_refused():
    with pytest.raises(ValueError, match="is too large at"):
        evaluate((1 / B + 1 / D) ** -250, {"B": 10**9, "D": 10**9 + 7})
    assert evaluate((1 / B + 1 / D) ** -2, {"B": 2, "D": 2}) == 1


@pytest.mark.parametrize(
    "expression",
    [2**9998 * B + 2**9998 * D, 2**9990 / (B + 10**9) + 2**9990 / (D + 10**9)],
    ids=["its digits that carry", "its fractions on one line"],
)
def test_a_sum_is_as_long_as_its_terms_and(expression):
    with pytest.raises(ValueError, match="is too large at"):
        value_at(expression, {"B": 1, "D": 1})


def test_a_power_of_fractions_that_is_just_short_enough_is_worked_out():
    each, other = sympy.Integer(10**9), sympy.Integer(10**9 + 7)
    value = value_at((1 / B + 1 / D) ** 150, {"B": int(each), "D": int(other)})
    assert value == ((each + other) / (each * other)) ** 150
