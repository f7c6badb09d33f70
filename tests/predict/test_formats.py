"""Test that a format's patterns, parts and numbers belong together; PyTorch's values are tested with the agreement."""

from fractions import Fraction

import pytest

from flopbook.predict.formats import FORMATS


@pytest.mark.parametrize("name", FORMATS)
def test_a_number_is_nearest_to_itself_and_its_parts_make_its_pattern(name):
    of_format = FORMATS[name]
    negative = 2 ** (of_format.bits - 1)
    for pattern in range(0, 2 * negative, 1 if of_format.bits == 8 else 2 * negative // 257):
        sign, exponent, fraction = of_format.parts(pattern)
        assert sign == (pattern >= negative)
        assert 0 <= exponent < 2**of_format.exponent_bits
        assert pattern == sign * negative + exponent * 2**of_format.fraction_bits + fraction
        value = of_format.value(pattern)
        if isinstance(value, Fraction):
            assert of_format.nearest(value) == (pattern if value else 0)


@pytest.mark.parametrize("name", FORMATS)
def test_between_two_numbers_the_nearer_is_taken_and_of_two_the_even_one(name):
    of_format = FORMATS[name]
    for pattern in (0, 1, 2, 3, of_format.top - 2, of_format.top - 1):
        below, above = of_format.value(pattern), of_format.value(pattern + 1)
        middle, little = (below + above) / 2, (above - below) / 16
        assert of_format.nearest(middle - little) == pattern
        assert of_format.nearest(middle + little) == pattern + 1
        assert of_format.nearest(middle) == pattern + pattern % 2
