"""Test the picture of a block with one large number."""

from fractions import Fraction

import pytest

from flopbook.drawing import Sharing, outlier_in_block
from flopbook.predict.packing import share_scale

NUMBERS = [Fraction(7 * n % 32 + 1, 32) for n in range(32)]
WAYS = {
    "MXFP4": Sharing("e2m1", "e8m0", 32),
    "NVFP4": Sharing("e2m1", "e4m3", 16),
    "MXFP8": Sharing("e4m3", "e8m0", 32),
}


def test_each_state_has_the_scales_and_losses_of_its_blocks(states):
    for state, frame in states(outlier_in_block(NUMBERS, 5, [1, 4, 16, 64], WAYS)):
        way = WAYS[state["way"]]
        given = [*NUMBERS[:5], Fraction(state["largest"]), *NUMBERS[6:]]
        blocks = [given[start : start + way.numbers] for start in range(0, 32, way.numbers)]
        lost = [share_scale(block, way.element, way.scale).lost for block in blocks]
        assert [row[2] for row in frame.table.rows] == lost
        assert sum('class="left-out"' in shape for shape in frame.shapes) == sum(lost)
        said = f"of {32}" if state["largest"] == 1 else f"{sum(lost) or 'none'} become"
        assert said in frame.sentence


def test_a_smaller_block_saves_the_numbers_of_the_other():
    picture = outlier_in_block(NUMBERS, 5, [1, 64], WAYS)
    lost = {way: sum(row[2] for row in picture.frame(way=way, largest=64).table.rows) for way in WAYS}
    assert lost["MXFP8"] == 0 < lost["NVFP4"] < lost["MXFP4"] == 31


def test_numbers_that_cannot_be_drawn_are_refused():
    with pytest.raises(ValueError, match=r"numbers=2 is not drawn: give numbers above 0 and up to 1"):
        outlier_in_block([2], 0, [1, 2], WAYS)
    with pytest.raises(ValueError, match=r"place=9 is none of 1 numbers: count from 0"):
        outlier_in_block([Fraction(1)], 9, [1, 2], WAYS)
    with pytest.raises(ValueError, match=r"format='e9' is not known"):
        outlier_in_block([Fraction(1)], 0, [1, 2], {"mine": Sharing("e9", "e8m0", 4)})
    with pytest.raises(ValueError, match=r"numbers=0 is not a size"):
        outlier_in_block([Fraction(1)], 0, [1, 2], {"mine": Sharing("e2m1", "e8m0", 0)})
