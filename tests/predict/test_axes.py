"""Test the letters, and the names that other axes may have."""

import pytest

from flopbook.predict import B, axes, axis
from flopbook.predict.axes import MEANING


def test_every_letter_is_a_positive_integer_with_a_meaning():
    for letter, meaning in MEANING.items():
        symbol = getattr(axes, letter)
        assert symbol == axis(letter)
        assert symbol.is_positive and symbol.is_integer
        assert meaning


def test_equal_names_are_the_same_symbol():
    assert axis("B") == B
    assert axis("H1") - axis("H1") == 0


@pytest.mark.parametrize("name", ["H1", "D_in", "width"])
def test_a_longer_name_is_an_axis_too(name):
    assert axis(name).name == name


@pytest.mark.parametrize("name", ["", "1", "1D", "D-1", "D ", "D.grad", "_", 3, None])
def test_another_name_is_refused(name):
    with pytest.raises(ValueError) as error:
        axis(name)
    assert str(error.value) == (
        f"{name!r} is not the name of an axis: write a letter, or a letter followed by "
        "letters, digits and underscores, such as B or H1"
    )
