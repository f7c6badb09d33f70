"""Draw numbers that share a scale, and those that become 0 because one of them is large."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, path, rect, words
from flopbook.predict.formats import FORMATS
from flopbook.predict.packing import Block, share_scale
from flopbook.tables import Table

_LEFT, _BASE, _TALL = 12.0, 130.0, 100.0


class Sharing(NamedTuple):
    """Says in which format a number is stored, in which its scale, and how many numbers share it.

    Attributes
    ----------
    element : str
        A name in `FORMATS`.
    scale : str
        ``e8m0``, a power of two, or a name in `FORMATS`.
    numbers : int
        Those of a block.
    """

    element: str
    scale: str
    numbers: int


def outlier_in_block(
    numbers: Sequence[Fraction], place: int, largest: Sequence[int], ways: Mapping[str, Sharing]
) -> Picture:
    """Draw what is left of numbers whose blocks share a scale, with one number as large as the reader likes.

    Parameters
    ----------
    numbers : sequence of Fraction
        Positive, and at most 1.
    place : int
        Which of them becomes large.
    largest : sequence of int
        What it can be set to.
    ways : mapping of str to Sharing
        By what the reader calls them.

    Raises
    ------
    ValueError
        If a number is not between 0 and 1, there is no number at the place, or a format is not known.

    Examples
    --------
    >>> numbers = [Fraction(n, 8) for n in range(1, 9)]
    >>> ways = {"blocks of 8": Sharing("e2m1", "e8m0", 8), "blocks of 4": Sharing("e2m1", "e8m0", 4)}
    >>> print(outlier_in_block(numbers, 1, [1, 64], ways).frame(largest=64).sentence)
    One number is 64, and of the 7 others 7 become 0. The scale of a block fits its largest number.
    """
    for each in numbers:
        if not 0 < each <= 1:
            raise ValueError(f"numbers={checks.quoted(each)} is not drawn: give numbers above 0 and up to 1")
    if not 0 <= place < len(numbers):
        raise ValueError(f"place={checks.quoted(place)} is none of {len(numbers)} numbers: count from 0")
    for way in ways.values():
        checks.one_of("format", way.element, FORMATS)
        checks.size("numbers", way.numbers)
    width = (WIDTH - 2 * _LEFT) / len(numbers)

    def draw(way: str, largest: int) -> Frame:
        chosen = ways[way]
        given = [Fraction(largest) if here == place else each for here, each in enumerate(numbers)]
        starts = range(0, len(given), chosen.numbers)
        blocks = [share_scale(given[start : start + chosen.numbers], chosen.element, chosen.scale) for start in starts]
        kept = [each for block in blocks for each in block.kept]
        shapes = [
            shape for here, each in enumerate(given) for shape in _bar(_LEFT + width * here, width, each, kept[here])
        ]
        shapes += _arrow(_LEFT + width * place, width, largest)
        for start, block in zip(starts, blocks, strict=True):
            shapes += _scale(_LEFT + width * start, width * len(block.kept), block)
        rows = [
            (f"{start + 1} to {start + len(block.kept)}", _written(block.scale), block.lost)
            for start, block in zip(starts, blocks, strict=True)
        ]
        return Frame(
            shapes,
            _said(largest, sum(not each for each in kept), len(numbers) - 1, len(blocks)),
            Table(["numbers", "their scale", "become 0"], rows),
        )

    return Picture(
        "outlier",
        "Numbers that share a scale",
        _BASE + 36,
        draw,
        [Choice("way", "Stored as", list(ways)), Slider("largest", "One number", list(largest))],
    )


def _bar(x: float, width: float, number: Fraction, kept: Fraction) -> Iterator[str]:
    """Draw a number as an outline and what is kept of it as a bar, both cut off above 1."""
    tall, full = (_TALL * float(min(each, Fraction(1))) for each in (number, kept))
    yield rect(x + 1, _BASE - full, width - 2, full, "bytes full")
    yield rect(x + 1, _BASE - tall, width - 2, tall, "" if kept else "left-out")


def _arrow(x: float, width: float, number: int) -> Iterator[str]:
    """Show that a bar goes on beyond the drawing, and how far."""
    top = _BASE - _TALL
    yield path((x + 1, top), (x + width / 2, top - 9), (x + width - 1, top), kind="bytes full")
    yield words(x + width / 2, top - 18, f"{number}", "strong")


def _scale(x: float, width: float, block: Block) -> Iterator[str]:
    """Write the scale of a block below it."""
    y = _BASE + 6
    yield line(x + 2, y, x + width - 2, y, stroke_width=2)
    yield words(x + width / 2, y + 14, f"scale {_written(block.scale)}, {block.lost} become 0")


def _written(number: Fraction) -> str:
    """Write a power of two below 1 as a fraction, and others with few digits.

    >>> [_written(each) for each in (Fraction(1, 4), Fraction(16), Fraction(43, 256))]
    ['1/4', '16', '0.168']
    """
    return f"1/{number.denominator}" if number.numerator == 1 < number.denominator else f"{float(number):.3g}"


def _said(largest: int, lost: int, others: int, blocks: int) -> str:
    become = "becomes" if lost == 1 else "become"
    if largest == 1:
        return (
            f"An outline is a number, a bar what is kept of it; {lost or 'none'} of {others + 1} {become} 0. "
            "One of them grows to 64. How many others become 0, if they share its scale? Say a number, then slide."
        )
    said = f"One number is {largest}, and of the {others} others {lost or 'none'} {become} 0."
    if not lost:
        return f"{said} The format reaches far enough for both."
    if blocks > 1:
        return f"{said} Those of the other block keep their own scale."
    return f"{said} The scale of a block fits its largest number."
