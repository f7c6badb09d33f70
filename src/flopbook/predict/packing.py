"""Predict the bytes of numbers of few bits that share scales, and what a shared scale loses."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import NamedTuple

import sympy
from sympy import Expr, ceiling

from flopbook.checks import one_of, quoted, size, text
from flopbook.predict.formats import FORMATS, Format, exact, find_format, power_below
from flopbook.predict.values import number

__all__ = ["PACKINGS", "Block", "Packing", "Scale", "Whole", "find_packing", "grouped", "share_scale"]

_LOWEST_POWER, _HIGHEST_POWER = -127, 127  # of a scale in e8m0: a byte that is an exponent


class Scale(NamedTuple):
    """Says how many bits a scale has, with its zero point if there is one, and how many numbers share it."""

    bits: int
    numbers: int


@dataclass(frozen=True)
class Packing:
    """Describes how numbers of few bits are stored: with scales that several of them share.

    Attributes
    ----------
    name : str
        As its makers call it.
    bits : int
        Of a number.
    scales : tuple of Scale
        Each kind of scale; none where a number stands for itself.
    tensor_bits : int
        Bits that are there once for each tensor.

    Raises
    ------
    TypeError, ValueError
        If the name is not text, or the bits or numbers are not whole and positive.

    Examples
    --------
    >>> PACKINGS["MXFP4"].bits_a_number, PACKINGS["NVFP4"].bits_a_number
    (Fraction(17, 4), Fraction(9, 2))
    """

    name: str
    bits: int
    scales: tuple[Scale, ...] = ()
    tensor_bits: int = 0

    def __post_init__(self):
        text("name", self.name)
        size("bits", self.bits)
        size("tensor_bits", self.tensor_bits, least=0)
        for scale in self.scales:
            if not isinstance(scale, Scale):
                raise TypeError(f"{quoted(scale)} is not a scale: write Scale(bits=8, numbers=32)")
            size("bits of a scale", scale.bits)
            size("numbers of a scale", scale.numbers)

    @property
    def bits_a_number(self) -> Fraction:
        """Return the bits of a number with its share of the scales, where all blocks are full."""
        return self.bits + sum((Fraction(scale.bits, scale.numbers) for scale in self.scales), Fraction(0))

    def bytes(self, row: Expr | int, rows: Expr | int = 1, tensors: Expr | int = 1) -> Expr:
        """Predict the bytes of a tensor, or of several.

        Parameters
        ----------
        row : Expr or int
            Numbers of a row. A row begins a new block, so that its last one may be not full.
        rows : Expr or int
            How many rows there are, in all tensors together.
        tensors : Expr or int
            How many tensors there are.

        Raises
        ------
        TypeError, ValueError
            If one of them is neither made of axes nor a whole number of at least 1.

        Examples
        --------
        >>> PACKINGS["MXFP4"].bytes(100, rows=3), PACKINGS["NVFP4"].bytes(4096, rows=4096)
        (162, 9437188)
        >>> from flopbook.predict import D, K
        >>> PACKINGS["MXFP8"].bytes(D, rows=K)
        K*(D + ceiling(D/32))
        """
        each, many = number("row", row, least=1), number("rows", rows, least=1)
        once = number("tensors", tensors, least=1) * sympy.Rational(self.tensor_bits, 8)
        of_row = ceiling(each * sympy.Rational(self.bits, 8))
        for scale in self.scales:
            of_row += ceiling(each / scale.numbers) * sympy.Rational(scale.bits, 8)
        return many * of_row + once


def grouped(bits: int, group: int, scale_bits: int = 16, zero_bits: int = 0) -> Packing:
    """Describe whole numbers of a few bits, of which each group shares a scale.

    Parameters
    ----------
    bits : int
        Of a number, such as 8 or 4.
    group : int
        Numbers that share a scale.
    scale_bits : int
        Of a scale.
    zero_bits : int
        Of a group's zero point: the number that stands for zero. 0 where zero stands for itself.

    Raises
    ------
    ValueError
        If one of them is not whole, or too small.

    Examples
    --------
    >>> float(grouped(4, group=128).bits_a_number), float(grouped(4, group=128, zero_bits=4).bits_a_number)
    (4.125, 4.15625)
    """
    bits, group, scale_bits = size("bits", bits), size("group", group), size("scale_bits", scale_bits)
    return Packing(
        f"int{bits} in groups of {group}", bits, (Scale(scale_bits + size("zero_bits", zero_bits, least=0), group),)
    )


def _packings() -> Iterator[Packing]:
    for each in FORMATS.values():
        if each.bits in {8, 16, 32}:
            yield Packing(each.name, each.bits)
    mx = (Scale(8, 32),)
    yield from (Packing(f"MX{kind}", bits, mx) for kind, bits in (("FP8", 8), ("FP6", 6), ("FP4", 4), ("INT8", 8)))
    yield Packing("NVFP4", 4, (Scale(8, 16),), tensor_bits=32)
    yield Packing("NF4", 4, (Scale(8, 64), Scale(32, 64 * 256)))


#: Ways to store numbers, by name: single formats; the MX formats, of which 32 numbers share a power of two, as the Open
#: Compute Project specifies them (2023); NVFP4, with 16 numbers to a scale in e4m3 and a float32 for the tensor; and
#: NF4, whose scales are rounded in turn, of Dettmers and others, *QLoRA* (2023).
PACKINGS = {each.name: each for each in _packings()}


def find_packing(given: Packing | str) -> Packing:
    """Return a packing, or the one of a name in `PACKINGS`.

    Raises
    ------
    TypeError, ValueError
        If it is neither; suggests a name that is spelt alike.

    Examples
    --------
    >>> find_packing("MXFP6").bits
    6
    """
    return given if isinstance(given, Packing) else PACKINGS[one_of("packing", given, PACKINGS)]


@dataclass(frozen=True)
class Whole:
    """Describes whole numbers of a few bits, with a sign.

    Attributes
    ----------
    bits : int
        At least 2, with that of the sign.

    Raises
    ------
    ValueError
        If there are fewer.

    Examples
    --------
    >>> [int(Whole(4).rounded(number)) for number in (2.5, 3.6, 20, -20)]
    [2, 4, 7, -7]
    """

    bits: int

    def __post_init__(self):
        size("bits", self.bits, least=2)

    @property
    def largest(self) -> Fraction:
        """Return the largest number; the smallest is its negative, so that zero lies in the middle."""
        return Fraction(2 ** (self.bits - 1) - 1)

    def rounded(self, number: Fraction | float) -> Fraction:
        """Return the nearest number; of two, the even one."""
        return Fraction(round(max(min(exact("number", number), self.largest), -self.largest)))


class Block(NamedTuple):
    """Holds numbers that share a scale, made by :func:`share_scale`.

    Attributes
    ----------
    scale : Fraction
        By which each stored number is multiplied.
    kept : tuple of Fraction
        What becomes of each number.
    """

    scale: Fraction
    kept: tuple[Fraction, ...]

    @property
    def lost(self) -> int:
        """Count the numbers that become 0."""
        return sum(not value for value in self.kept)


def share_scale(
    numbers: Sequence[Fraction | float], element: Format | Whole | str, scale: Format | str = "e8m0"
) -> Block:
    """Round numbers to a format, with one scale for all of them.

    Parameters
    ----------
    numbers : sequence of numbers
        Those of one block.
    element : Format, Whole or str
        In which a number is stored: a format, or a name in `FORMATS`, or whole numbers.
    scale : Format or str
        In which the scale is stored. In ``e8m0`` it is a power of two, with which the largest number's exponent becomes
        the highest of the element, and what is then too large becomes the largest; so do the MX formats. In any other,
        the largest number becomes the largest of the element, as far as the rounded scale allows.

    Raises
    ------
    TypeError, ValueError
        If there are no numbers, or they are not finite, or a format is not known.

    Notes
    -----
    Open Compute Project, *OCP Microscaling Formats (MX) Specification*, version 1.0 (2023), section 6.3. A tensor's
    own scale, as NVFP4 has it, is to be divided out of the numbers first.

    Examples
    --------
    >>> block = share_scale([1, 0.1, 0.01, -3], "e2m1")
    >>> float(block.scale), [float(value) for value in block.kept], block.lost
    (0.5, [1.0, 0.0, 0.0, -3.0], 2)
    >>> float(share_scale([1, 0.1, 0.01, -3], Whole(4), scale="fp16").scale)
    0.428466796875
    """
    if not isinstance(numbers, Sequence) or isinstance(numbers, str):
        raise TypeError(f"numbers={quoted(numbers)} are not a block: write a list of numbers")
    given = [exact("numbers", each) for each in numbers]
    if not given:
        raise ValueError("numbers=[] are not a block: give at least one number")
    known = element if isinstance(element, Whole) else find_format(element)
    largest = max(map(abs, given))
    shared = _shared_scale(largest, known, scale) if largest else Fraction(1)
    top = known.largest  # beyond it, a format may have infinity
    return Block(shared, tuple(Fraction(known.rounded(max(min(each / shared, top), -top))) * shared for each in given))


def _shared_scale(largest: Fraction, element: Format | Whole, scale: Format | str) -> Fraction:
    if scale == "e8m0":
        power = power_below(largest) - power_below(element.largest)
        return Fraction(2) ** max(_LOWEST_POWER, min(power, _HIGHEST_POWER))
    known = find_format(scale)
    wanted = min(largest / element.largest, known.largest)
    return Fraction(known.rounded(wanted)) or known.smallest
