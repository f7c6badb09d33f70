"""Test the picture of updates."""

from fractions import Fraction

import pytest

from flopbook.drawing import add_updates
from flopbook.predict.formats import FORMATS

UPDATES = ["0.001", "0.005"]


def test_each_state_has_the_sums_of_its_format(states):
    for state, frame in states(add_updates(UPDATES, ["bf16", "e4m3"])):
        known, update = FORMATS[state["format"]], Fraction(state["update"])
        shown = [Fraction(row[1]) for row in frame.table.rows]
        weight = Fraction(1)
        for _ in range(state["made"]):
            weight = known.rounded(weight + update)
        exact = 1 + state["made"] * update
        assert shown[0] == shown[4] == exact
        assert [float(each) for each in shown[1:3]] == [float(known.rounded(exact)), float(weight)]
        assert known.rounded(shown[3]) == shown[3] >= 1
        assert shown[5] == 2 * shown[6] == known.value(known.nearest(Fraction(1)) + 1) - 1
        if state["made"]:
            assert ("still 1." in frame.sentence) == (weight == 1)
        else:
            assert "Say a number" in frame.sentence


def test_chance_moves_a_weight_that_rounding_leaves():
    rows = add_updates(["0.003", "0.001"], ["bf16", "fp16"], most=64).frame(made=64).table.rows
    assert rows[2][1] == "1" and 1.1 < float(rows[3][1]) < 1.3


def test_what_is_not_an_update_is_refused():
    with pytest.raises(ValueError, match=r"update=.-0[.]5. is not a positive number"):
        add_updates(["-0.5"], ["bf16"])
    with pytest.raises(ValueError, match=r"updates=\[\] are none: give at least two"):
        add_updates([], ["bf16"])
    with pytest.raises(ValueError, match="format='bf61' is not known"):
        add_updates(["0.5"], ["bf61"])
