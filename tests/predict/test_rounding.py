"""Test what formats lose, by their own numbers; PyTorch's are in the agreement tests."""

from fractions import Fraction
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.predict import D
from flopbook.predict.formats import FORMATS, Format
from flopbook.predict.rounding import gap, largest_lost, loss_scale, roundoff, standstill, stochastic, sum_error

MINE = Format("mine", 6, 4)
formats = st.sampled_from([*FORMATS.values(), MINE])


@st.composite
def numbers(draw):
    """Draw a format, and a pattern of it that has one above."""
    known = draw(formats)
    return known, draw(st.integers(0, known.top - 1))


@settings(max_examples=40)
@given(numbers())
def test_a_gap_is_the_way_to_the_next_number(drawn):
    known, pattern = drawn
    here, above = known.value(pattern), known.value(pattern + 1)
    assert gap(known, here) == gap(known, -here) == gap(known, (here + above) / 2) == above - here


@settings(max_examples=40)
@given(numbers())
def test_half_of_a_gap_is_lost_where_the_last_bit_is_0_and_what_is_below_it_in_any_case(drawn):
    known, pattern = drawn
    here, lost = known.value(pattern), largest_lost(known, known.value(pattern))
    assert known.rounded(here + lost * Fraction(99, 100)) == here
    assert (known.rounded(here + lost) == here) == (pattern % 2 == 0)
    assert known.rounded(here + lost * Fraction(101, 100)) != here


@settings(max_examples=40)
@given(numbers())
def test_toward_zero_half_of_the_gap_below_is_lost(drawn):
    known, pattern = drawn[0], drawn[1] + 1
    here, lost = known.value(pattern), largest_lost(known, known.value(pattern - 1))
    if pattern < known.top:
        assert largest_lost(known, here, toward_zero=True) == lost
        assert known.rounded(here - lost * Fraction(99, 100)) == here != known.rounded(here - lost * Fraction(101, 100))


@settings(max_examples=40)
@given(numbers(), st.integers(0, 64), st.sampled_from([1, -1]))
def test_stochastic_rounding_is_right_on_average(drawn, part, sign):
    known, pattern = drawn
    here, above = known.value(pattern), known.value(pattern + 1)
    number = sign * (here + (above - here) * Fraction(part, 65))
    chances = stochastic(known, number)
    assert chances.mean == number
    drawn_from = (number, number) if part == 0 else tuple(sorted((sign * here, sign * above)))
    assert (chances.below, chances.above) == drawn_from
    assert part or chances.chance == 0
    assert chances.variance == chances.chance * chances.above**2 + (1 - chances.chance) * chances.below**2 - number**2


def test_a_sum_of_d_terms_is_bounded_by_d_roundoffs():
    assert sum_error("e5m2", 9) == 3 * sum_error("e5m2", 1) == Fraction(3, 8)
    assert sum_error(MINE, D, worst=True) == D * Fraction(1, 32) == D * roundoff(MINE)


def test_a_loss_scale_makes_the_smallest_gradient_normal_and_no_smaller_one_would():
    for name, smallest in (("fp16", Fraction(1, 3 * 10**8)), ("e5m2", 1e-9), ("e4m3", 3e-5)):
        scale = loss_scale(name, smallest)
        assert smallest * scale >= FORMATS[name].smallest_normal > smallest * scale / 2
    assert loss_scale("fp16", 1) == 1

    assert loss_scale("fp16", FORMATS["fp16"].smallest_normal, largest=65_504) == 1


def test_a_sum_may_stand_still_at_the_largest_number():
    powers = Format("powers", 4, 0)
    assert standstill(powers, powers.largest / 2) == powers.largest
    assert standstill(powers, powers.largest) == inf


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: gap("fp61", 1), "format='fp61' is not known; did you mean 'fp16'?"),
        (lambda: gap("fp16", 65_504), "number=65504 has no neighbour in fp16, whose largest number is 65,504: give"),
        (lambda: largest_lost("e4m3", 1e5), "number=100000.0 has no neighbour in e4m3, whose largest number is 448"),
        (lambda: largest_lost("e2m1", 5.9), "number=5.9 becomes the largest number of e2m1: give a smaller one"),
        (lambda: standstill("fp16", -1), "update=-1 is -1 in fp16: give a positive number that it has"),
        (lambda: standstill("fp16", 1e-9), "update=1e-09 is 0 in fp16: give a positive number that it has"),
        (lambda: loss_scale("fp16", 0), "smallest=0 is not the size of a gradient: write a positive number"),
        (lambda: loss_scale("fp16", 1e-8, largest=-1), "largest=-1 is not the size of a gradient"),
        (lambda: loss_scale("fp16", 1e-8, largest=10), "no loss scale lifts 1e-08 to 6.10352e-05 and keeps 10 below"),
        (lambda: sum_error("bf16", 0), "length=0 is not a size: write a whole number of at least 1"),
        (lambda: stochastic("bf16", 1e39), "number=1e+39 has no neighbour in bf16"),
    ],
)
def test_what_has_no_answer_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError) as error:
        wrong()
    assert str(error.value).startswith(message)


def test_what_is_not_a_number_is_quoted():
    with pytest.raises(TypeError, match="number=nan is not a number: write one such as"):
        gap("bf16", float("nan"))
    with pytest.raises(TypeError, match="format=8 is not a name: write one of 'fp32'"):
        gap(8, 1)
