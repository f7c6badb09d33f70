"""Test the pictures of bits."""

from fractions import Fraction
from math import inf

import pytest

from flopbook.drawing import flip_bits, keep_number
from flopbook.predict.formats import FORMATS

NUMBERS = {"100,000": Fraction(100_000), "0.1": Fraction(1, 10), "1": Fraction(1), "1e-8": Fraction(1, 10**8)}


def shown_bits(frame):
    """Read the bits of a drawing from left to right."""
    row = (shape for shape in frame.shapes if 'y="20"' in shape)
    return int("".join(shape.partition(">")[2].partition("<")[0] for shape in row), 2)


@pytest.mark.parametrize("name", ["e4m3", "e5m2"])
def test_each_of_256_patterns_shows_its_bits_and_its_value(name, states):
    picture = flip_bits(name, 1.5)
    seen = set()
    for state, frame in states(picture):
        pattern = int("".join(str(int(bit)) for bit in state.values()), 2)
        value = FORMATS[name].value(pattern)
        assert shown_bits(frame) == pattern
        if isinstance(value, Fraction):
            said = frame.sentence.partition("= ")[2].partition(". ")[0].replace(",", "")
            assert float(said) == pytest.approx(float(value), rel=1e-5)
        seen.add(pattern)
    assert len(seen) == 256


def test_a_click_on_a_bit_sets_it_to_what_it_is_not():
    picture = flip_bits("e4m3", 1.5)
    clicks = dict(
        shape.split('data-set="')[1].split('"')[0].split("=") for shape in picture.frame().shapes if "data-set" in shape
    )
    first = {control.name: control.values[control.first] for control in picture.controls}
    assert clicks == {name: str(not bit) for name, bit in first.items()}


def test_what_a_number_becomes_is_the_nearest_number_of_the_format(states):
    picture = keep_number(NUMBERS, list(FORMATS))
    for state, frame in states(picture):
        format_, exact = FORMATS[state["format"]], NUMBERS[state["number"]]
        pattern = format_.nearest(exact)
        value = format_.value(pattern)
        assert shown_bits(frame) == pattern
        if "Guess" in frame.sentence:
            assert state == dict(number="100,000", format="fp32")
        elif value == exact:
            assert "kept as it is" in frame.sentence
        elif value == inf:
            assert "becomes infinity" in frame.sentence
        else:
            said = frame.sentence.partition("becomes ")[2].partition(" in ")[0].replace(",", "")
            assert float(said) == pytest.approx(float(value), rel=1e-8)


def test_a_number_that_is_too_large_is_said_to_be():
    picture = keep_number(NUMBERS, ["fp32", "fp16", "e4m3"])
    assert picture.frame(format="fp16").sentence.endswith("whose largest number is 65,504.")
    assert picture.frame(format="e4m3").sentence == "100,000 becomes 448 in e4m3, its largest number."
    assert picture.frame(format="fp16", number="1e-8").sentence.startswith("1e-8 becomes 0 in fp16, whose smallest")


def test_other_formats_are_refused():
    with pytest.raises(ValueError, match="format='bf16' is not known: write one of 'e5m2', 'e4m3'"):
        flip_bits("bf16", 1)
    with pytest.raises(ValueError, match="format='fp64' is not known"):
        keep_number(NUMBERS, ["fp64"])
