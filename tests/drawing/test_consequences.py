"""Test the picture of printed figures beside what follows from one of them."""

import pytest

from flopbook.drawing import what_follows

CLAIMS = dict(a=100, b=20, c=7)
FOLLOWS = dict(a=dict(b=(20, 20), c=(8, 9)), b=dict(a=(10, 99)))


def test_a_figure_fits_within_its_range_alone():
    picture = what_follows(CLAIMS, FOLLOWS)
    assert [row[-1] for row in picture.frame(true="a").table.rows] == ["taken for true", "fits", "does not fit"]
    assert picture.frame(true="a").table.rows[2][2:4] == (8, 9)
    assert picture.frame(true="b").table.rows[0][-1] == "does not fit"


def test_a_consequence_for_what_is_not_printed_is_refused():
    with pytest.raises(ValueError, match="claim='d' is not known"):
        what_follows(CLAIMS, dict(a=dict(d=(1, 2)), b=dict(a=(1, 2))))
