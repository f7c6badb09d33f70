"""Test that a format's patterns, parts and numbers belong together; PyTorch's values are tested with the agreement."""

from fractions import Fraction

import pytest

from flopbook.predict.formats import FORMATS, Format, find_format


@pytest.mark.parametrize("name", FORMATS)
def test_a_number_is_nearest_to_itself_and_its_parts_make_its_pattern(name):
    of_format = FORMATS[name]
    negative = 2 ** (of_format.bits - 1)
    for pattern in range(0, 2 * negative, max(1, 2 * negative // 257)):
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


def test_short_formats_have_the_published_numbers():
    """As in the Open Compute Project's *OCP Microscaling Formats (MX) Specification* 1.0, section 5.3."""
    assert [FORMATS["e2m1"].value(pattern) for pattern in range(8)] == [0, 0.5, 1, 1.5, 2, 3, 4, 6]
    reach = {name: (FORMATS[name].smallest, FORMATS[name].largest) for name in ("e3m2", "e2m3", "e2m1")}
    assert reach == {
        "e3m2": (Fraction(1, 16), 28),
        "e2m3": (Fraction(1, 8), Fraction(15, 2)),
        "e2m1": (Fraction(1, 2), 6),
    }
    assert all(
        FORMATS[name].rounded(sign * 10**9) == sign * largest
        for name, (_, largest) in reach.items()
        for sign in (1, -1)
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (lambda: Format("mine", 0, 3), "exponent_bits=0 is not a size: write a whole number of at least 1"),
        (lambda: Format("mine", 4, -1), "fraction_bits=-1 is not a size: write a whole number of at least 0"),
        (lambda: Format("mine", 16, 3), "exponent_bits=16 is more than any format has: write at most 15"),
        (lambda: Format("mine", 4, 237), "fraction_bits=237 is more than any format has: write at most 236"),
        (lambda: Format("mine", 4, 3, has_nan=False), "mine has infinity and nothing that is not a number"),
        (lambda: find_format("bf61"), "format='bf61' is not known; did you mean 'bf16'?"),
    ],
)
def test_what_is_not_a_format_is_refused_by_name(wrong, message):
    with pytest.raises(ValueError) as error:
        wrong()
    assert str(error.value).startswith(message)


def test_the_longest_formats_round_too():
    fp64, fp128 = Format("fp64", 11, 52), Format("fp128", 15, 112)
    for number in (Fraction(1, 3), Fraction(10) ** 300, Fraction(1, 10**320)):
        assert fp64.rounded(number) == float(number)
        assert abs(fp128.rounded(number) / number - 1) <= Fraction(1, 2**113)
    assert fp64.rounded(Fraction(10) ** 309) == float("inf")


def test_a_format_has_as_many_bits_as_the_longest_ones():
    assert Format("mine", 15, 236).bits == 1 + 15 + 236


def test_a_text_is_not_rounded_nor_a_number_a_name():
    with pytest.raises(TypeError, match="number='1/3' is not a number: write one such as"):
        FORMATS["bf16"].rounded("1/3")
    with pytest.raises(TypeError, match="name=8 is not text"):
        Format(8, 4, 3)
