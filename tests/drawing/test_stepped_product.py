"""Test the picture of a product, one multiply-add at a time."""

import re

import pytest

from flopbook.drawing import multiply_adds
from flopbook.predict import evaluate, matmul

PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")


@pytest.mark.parametrize("sizes", [dict(B=1, D=1, K=1), dict(B=2, D=3, K=4), dict(B=3, D=4, K=2), dict(B=5, D=1, K=3)])
def test_the_last_step_has_the_flops_of_the_formula(sizes):
    picture = multiply_adds(PRODUCT, sizes)
    last = picture.controls[0].values[-1]
    flops = evaluate(PRODUCT.flops, sizes)
    for exact, total in (False, flops), (True, flops - sizes["B"] * sizes["K"]):
        frame = picture.frame(step=last, exact=exact)
        assert [row[-1] for row in frame.table.rows] == [total, total]
        assert f"{total} FLOPs" in frame.sentence


def test_every_step_multiplies_once_and_adds_at_most_once(states):
    picture = multiply_adds(PRODUCT, dict(B=2, D=3, K=2))
    for state, frame in states(picture):
        (_, multiplications, additions, flops), _ = frame.table.rows
        begun = -(-state["step"] // 3)
        assert multiplications == state["step"]
        assert additions == state["step"] - (begun if state["exact"] else 0)
        assert flops == multiplications + additions
        result = frame.shapes[-8:]
        assert sum("full" in shape for shape in result) == state["step"] // 3
        assert sum(int(re.search(r">(\d+)<", shape)[1]) for shape in result if "<text" in shape) == state["step"]


def test_it_opens_with_a_question():
    assert multiply_adds(PRODUCT, dict(B=2, D=3, K=4)).frame().sentence.endswith("At which step is y₁₂ finished?")


@pytest.mark.parametrize(
    ("product", "sizes", "says"),
    [
        (matmul("x[B,D] @ w[K,D] -> y[B,K]"), dict(B=1, D=1, K=1), "is not rows times columns"),
        (matmul("x[B,T,D] @ w[D,K] -> y[B,T,K]"), dict(B=1, T=1, D=1, K=1), "is not rows times columns"),
        (PRODUCT, dict(B=1), "sizes are missing for D, K"),
    ],
)
def test_what_cannot_be_drawn_is_refused(product, sizes, says):
    with pytest.raises(ValueError, match=says):
        multiply_adds(product, sizes)
