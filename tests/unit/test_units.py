"""Large numbers for people."""

import pytest

from flopbook.units import scientific, si


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
        (4.2e-11, "s", "4.20e-11 s"),
    ],
)
def test_three_digits_and_a_prefix(value, unit, text):
    assert si(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"), [(3.14159e23, "3.14e23"), (9996, "1.00e4"), (0.02, "2.00e-2"), (1, "1.00e0")]
)
def test_three_digits_and_a_power_of_ten(value, text):
    assert scientific(value) == text
