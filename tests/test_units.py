"""Test how large numbers are written for people."""

from fractions import Fraction

import pytest

from flopbook.units import plain, si


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0, "FLOPs", "0 FLOPs"),
        (7, "FLOPs", "7 FLOPs"),
        (999, "FLOPs", "999 FLOPs"),
        (1000, "FLOPs", "1.00 kFLOPs"),
        (9_999, "FLOPs", "10.0 kFLOPs"),
        (999_900, "FLOPs", "1.00 MFLOPs"),
        (6_628_048_896, "FLOPs", "6.63 GFLOPs"),
        (2e25, "FLOPs", "20.0 YFLOPs"),
        (9.994e26, "FLOPs", "999 YFLOPs"),
        (9.996e26, "FLOPs", "1.00e27 FLOPs"),
        (2**100, "FLOPs", "1.27e30 FLOPs"),
        (1.5, "s", "1.50 s"),
        (0.0021, "s", "2.10 ms"),
        (4.2e-7, "s", "420 ns"),
        (4.2e-11, "s", "42.0 ps"),
        (4.2e-14, "s", "4.20e-14 s"),
        (999.6, "s", "1,000 s"),
        (31_536_000, "s", "3.15e7 s"),
    ],
)
def test_three_digits_and_a_prefix(value, unit, text):
    assert si(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (-12, "-12"),
        (999.6, "1,000"),
        (1234.5, "1,234"),
        (999_499, "999,499"),
        (999_500, "1.00e6"),
        (3.14159e23, "3.14e23"),
        (Fraction(4, 3), "1.33"),
        (0.000123, "0.000123"),
        (0.0000123, "1.23e-5"),
    ],
)
def test_without_a_prefix_a_power_of_ten_stands_for_many_zeros(value, text):
    assert plain(value) == text
