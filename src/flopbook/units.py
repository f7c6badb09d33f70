"""Write large numbers for people, with SI prefixes or powers of ten."""

from fractions import Fraction
from math import floor, log10

from flopbook.checks import is_number, quoted

_PREFIXES = {-4: "p", -3: "n", -2: "µ", -1: "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E", 7: "Z", 8: "Y"}


def si(value: float, unit: str) -> str:
    """Write a value with three digits and an SI prefix.

    Where there is no prefix, and for many seconds, it is written as by :func:`plain`.

    Raises
    ------
    TypeError
        If the value is not a finite number, or the unit not text.

    Examples
    --------
    >>> si(6_628_048_896, "FLOPs"), si(0, "FLOPs"), si(12, "FLOPs"), si(0.0021, "s")
    ('6.63 GFLOPs', '0 FLOPs', '12 FLOPs', '2.10 ms')
    >>> si(3e30, "FLOPs"), si(86_400, "s")
    ('3.00e30 FLOPs', '86,400 s')
    """
    _check(value)
    if not isinstance(unit, str):
        raise TypeError(f"{quoted(unit)} is not a unit: write text, such as 'FLOPs'")
    if value == 0:
        return f"0 {unit}"
    rounded = float(f"{value:.3g}")  # first, so that 999.9 k becomes 1.00 M
    power = floor(log10(abs(rounded)) / 3)
    if power not in _PREFIXES or (unit == "s" and power > 0):
        return f"{plain(value)} {unit}"
    scaled = rounded / 1000**power
    digits = 0 if power == 0 and isinstance(value, int) else max(2 - floor(log10(abs(scaled))), 0)
    return f"{scaled:.{digits}f} {_PREFIXES[power]}{unit}"


def plain(value: float | Fraction) -> str:
    """Write a value without a prefix.

    It has three digits, or is the whole number; far from 1 it has a power of ten.

    Raises
    ------
    TypeError
        If the value is not a finite number.

    Examples
    --------
    >>> plain(1234.5), plain(4 / 3), plain(8_030_261_248), plain(2.02e-15)
    ('1,234', '1.33', '8.03e9', '2.02e-15')
    """
    _check(value)
    exact = Fraction(value)
    if exact.denominator == 1 and abs(exact) < 1000:
        return str(exact)
    power = floor(log10(abs(float(f"{float(value):.3g}"))))
    if not -4 <= power < 6:
        digits, ten = f"{float(value):.2e}".split("e")
        return f"{digits}e{int(ten)}"
    return f"{round(value):,}" if power >= 2 else f"{float(value):.{2 - power}f}"


def _check(value: object) -> None:
    if not is_number(value):
        raise TypeError(f"{quoted(value)} is not a finite number: write one, such as 6_628_048_896 or 0.0021")
