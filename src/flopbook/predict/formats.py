"""Work out which number a pattern of bits stands for, and which pattern a number gets."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from math import inf, nan

from flopbook.checks import is_number, one_of, quoted, size, text

__all__ = ["FORMATS", "Format", "exact", "find_format", "power_below"]

_MOST_BITS = {
    "exponent_bits": 15,
    "fraction_bits": 236,
}  # those of the longest formats of IEEE 754, of 128 and 256 bits


@dataclass(frozen=True)
class Format:
    """Describes a floating-point format: a sign, an exponent and a fraction.

    Attributes
    ----------
    name : str
        As in the lectures, such as ``bf16``.
    exponent_bits, fraction_bits : int
        How many bits each has.
    has_infinity : bool
        Whether the highest exponent is kept for infinity and for what is not a number. Without, what is too large
        becomes the largest number, as PyTorch 2.13 converts; PyTorch 2.11 makes nan of it.
    has_nan : bool
        Whether, without infinity, one pattern of each sign is not a number.

    Raises
    ------
    TypeError, ValueError
        If the name is not text, or there are no such bits.

    Examples
    --------
    >>> e4m3 = FORMATS["e4m3"]
    >>> float(e4m3.largest), float(e4m3.value(0b0_0111_100))
    (448.0, 1.5)
    >>> FORMATS["bf16"].value(FORMATS["bf16"].nearest(Fraction(100_000)))
    Fraction(99840, 1)
    """

    name: str
    exponent_bits: int
    fraction_bits: int
    has_infinity: bool = True
    has_nan: bool = True

    def __post_init__(self):
        text("name", self.name)
        for name, least in (("exponent_bits", 1), ("fraction_bits", 0)):
            given, most = size(name, getattr(self, name), least), _MOST_BITS[name]
            if given > most:
                raise ValueError(f"{name}={quoted(given)} is more than any format has: write at most {most}")
        if self.has_infinity and not self.has_nan:
            raise ValueError(f"{self.name} has infinity and nothing that is not a number: write has_infinity=False")

    @property
    def bits(self) -> int:
        """Return the bits of a number."""
        return 1 + self.exponent_bits + self.fraction_bits

    @property
    def bias(self) -> int:
        """Return what is taken off an exponent, so that half of all are for numbers below 1."""
        return 2 ** (self.exponent_bits - 1) - 1

    @property
    def top(self) -> int:
        """Return the pattern of the largest number."""
        if self.has_infinity:
            return ((2**self.exponent_bits - 1) << self.fraction_bits) - 1
        return 2 ** (self.bits - 1) - 1 - self.has_nan

    @property
    def largest(self) -> Fraction:
        """Return the largest number."""
        return self._magnitude(self.top)

    @property
    def smallest(self) -> Fraction:
        """Return the smallest positive number."""
        return self._magnitude(1)

    @property
    def smallest_normal(self) -> Fraction:
        """Return the smallest number with all bits of its fraction."""
        return self._magnitude(2**self.fraction_bits)

    def parts(self, pattern: int) -> tuple[int, int, int]:
        """Split a pattern into sign, exponent and fraction."""
        rest, fraction = divmod(pattern, 2**self.fraction_bits)
        return *divmod(rest, 2**self.exponent_bits), fraction

    def value(self, pattern: int) -> Fraction | float:
        """Return the number that a pattern stands for; infinity and nan as floats."""
        sign, magnitude = divmod(pattern, 2 ** (self.bits - 1))
        if magnitude > self.top:
            return (-inf if sign else inf) if self.has_infinity and magnitude == self.top + 1 else nan
        return -self._magnitude(magnitude) if sign else self._magnitude(magnitude)

    def nearest(self, number: Fraction) -> int:
        """Return the pattern of the nearest number; of two, the one that ends in 0."""
        sign = 2 ** (self.bits - 1) if number < 0 else 0
        below = min(self._at_or_below(abs(number)), self.top)
        middle = (self._magnitude(below) + self._magnitude(below + 1)) / 2
        chosen = below + (abs(number) > middle or (abs(number) == middle and below % 2))
        return sign + (chosen if self.has_infinity else min(chosen, self.top))

    def rounded(self, number: Fraction | float) -> Fraction | float:
        """Return the nearest number of the format; infinity where that is nearest.

        Examples
        --------
        >>> FORMATS["e2m1"].rounded(2.4), FORMATS["e2m1"].rounded(100), FORMATS["fp16"].rounded(1e6)
        (Fraction(2, 1), Fraction(6, 1), inf)
        """
        return self.value(self.nearest(exact("number", number)))

    def _at_or_below(self, size: Fraction) -> int:
        """Return the pattern of the largest number that is not above a positive one, as if all exponents were there."""
        power = max(power_below(size), 1 - self.bias) if size else 1 - self.bias
        gaps = int(size / Fraction(2) ** (power - self.fraction_bits))  # from 0 on, each as wide as those at the number
        return ((power + self.bias - 1) << self.fraction_bits) + gaps

    def _magnitude(self, pattern: int) -> Fraction:
        """Return the number of a pattern without its sign, as if none stood for infinity."""
        exponent, fraction = divmod(pattern, 2**self.fraction_bits)
        whole = 2**self.fraction_bits if exponent else 0  # the lowest exponent is that of the next, without the 1
        return (whole + fraction) * Fraction(2) ** (max(exponent, 1) - self.bias - self.fraction_bits)


def _formats() -> Iterator[Format]:
    yield Format("fp32", 8, 23)
    yield Format("tf32", 8, 10)  # inside matrix units only; it is stored as fp32
    yield Format("bf16", 8, 7)
    yield Format("fp16", 5, 10)
    yield Format("e5m2", 5, 2)
    yield Format("e4m3", 4, 3, has_infinity=False)
    # so short that they need a scale beside them
    yield Format("e3m2", 3, 2, has_infinity=False, has_nan=False)
    yield Format("e2m3", 2, 3, has_infinity=False, has_nan=False)
    yield Format("e2m1", 2, 1, has_infinity=False, has_nan=False)


#: The formats in which networks are trained, by name.
FORMATS = {each.name: each for each in _formats()}


def find_format(given: Format | str) -> Format:
    """Return a format, or the one of a name in `FORMATS`.

    Raises
    ------
    TypeError, ValueError
        If it is neither; suggests a name that is spelt alike.

    Examples
    --------
    >>> find_format("bf16").fraction_bits
    7
    """
    return given if isinstance(given, Format) else FORMATS[one_of("format", given, FORMATS)]


def exact(name: str, number: Fraction | float) -> Fraction:
    """Return a number as a fraction.

    Raises
    ------
    TypeError
        If it is not a finite number; quotes it.

    Examples
    --------
    >>> exact("update", 0.5)
    Fraction(1, 2)
    """
    if isinstance(number, Fraction):
        return number  # of any size, where a float would be infinite
    if not is_number(number):
        raise TypeError(f"{name}={quoted(number)} is not a number: write one such as 0.5, or Fraction(1, 3)")
    return Fraction(number)


def power_below(number: Fraction) -> int:
    """Return the exponent of the largest power of two that is at most a positive number.

    Examples
    --------
    >>> power_below(Fraction(4)), power_below(Fraction(7)), power_below(Fraction(1, 3))
    (2, 2, -2)
    """
    power = number.numerator.bit_length() - number.denominator.bit_length()
    return power if Fraction(2) ** power <= number else power - 1
