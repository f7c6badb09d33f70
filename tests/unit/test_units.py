"""Large numbers for people."""

import pytest

from flopbook.units import si


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
        (1.5, "s", "1.50 s"),
        (0.0021, "s", "2.10 ms"),
        (4.2e-7, "s", "420 ns"),
    ],
)
def test_three_digits_and_a_prefix(value, unit, text):
    assert si(value, unit) == text
