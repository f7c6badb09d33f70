"""Test the picture of seven products in place of eight."""

import re

import pytest

from flopbook.drawing import seven_products
from flopbook.predict.fast_products import SCHEMES, fast_product, ordinary_product


@pytest.fixture(scope="module")
def picture():
    return seven_products([8, 24], levels=[1, 3])


def cells(frame):
    """Return the cells of the four grids, each with what it says."""
    return [
        (shape, found[1] if (found := re.search(r">([+−]\d?)<", text)) else "")
        for shape, text in zip(frame.shapes, frame.shapes[1:], strict=False)
        if shape.startswith("<rect") and 'width="19"' in shape
    ]


def test_operations_are_those_of_the_formula(picture, states):
    for state, frame in states(picture):
        n, (fast, ordinary) = state["n"], frame.table.rows
        work = fast_product(n, n, n, state["scheme"], state["levels"])
        assert fast[1:] == (work.multiplications, work.additions + work.around, work.exact)
        assert ordinary[3] == ordinary_product(n, n, n).exact == 2 * n**3 - n**2
        assert fast[1] + fast[2] == fast[3] and f"{int(work.exact):,} operations" in frame.sentence


@pytest.mark.parametrize("scheme", SCHEMES)
def test_in_the_end_each_quarter_has_its_two_pairs_and_nothing_else(picture, scheme):
    shown = cells(picture.frame(scheme=scheme, step=7))
    assert len(shown) == 64 and [said for _, said in shown if said] == ["+"] * 8
    assert not any("left-out" in shape for shape, _ in shown)
    assert f"{sum(SCHEMES[scheme].sums)} sums" in picture.frame(scheme=scheme, step=7).sentence


def test_a_product_brings_each_left_quarter_with_each_right_one(picture):
    assert not any(said for _, said in cells(picture.frame(step=0)))
    frame = picture.frame(step=1)
    assert sum(said == "+" for _, said in cells(frame)) == 8
    assert frame.sentence.startswith("p₁ = (a₁₁ + a₂₂) · (b₁₁ + b₂₂) brings 4 pairs into c₁₁ with + and c₂₂ with +.")
    assert "which product takes them away?" in frame.sentence


def test_sizes_that_cannot_be_cut_are_refused():
    with pytest.raises(ValueError, match="B=12 cannot be halved 3 times"):
        seven_products([8, 12])
