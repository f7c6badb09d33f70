"""Draw what becomes of a weight to which many small updates are added, rounded in three ways."""

import random
from collections.abc import Iterator, Sequence
from fractions import Fraction
from itertools import accumulate

from flopbook import checks
from flopbook.drawing.controls import Choice, Steps
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, path, rect, words
from flopbook.predict.formats import FORMATS, Format
from flopbook.predict.rounding import gap, largest_lost, stochastic
from flopbook.tables import Table

_LEFT, _RIGHT = 14.0, WIDTH - 104.0
_ROW = 58.0
_SEED = 5  # of the chances, so that a picture is the same each time


def add_updates(updates: Sequence[str], formats: Sequence[str], most: int = 8) -> Picture:
    """Draw a weight of 1 after each of some equal updates: added exactly, rounded each time, and rounded by chance.

    Parameters
    ----------
    updates : sequence of str
        What can be added, as the reader reads it, such as ``0.001``.
    formats : sequence of str
        Names in `FORMATS`.
    most : int
        How many updates there are.

    Raises
    ------
    ValueError
        If a format is not known, an update is not written as a positive number, or there are no updates.

    Examples
    --------
    >>> picture = add_updates(["0.001", "0.005"], ["bf16", "fp16"])
    >>> print(picture.frame(made=8).sentence)
    8 updates of 0.001 make 1.008. Rounded each time: still 1. An update of up to half of the gap, 0.00390625, is \
lost, however often it comes. The float32 copy adds them all up.
    """
    known = {name: FORMATS[checks.one_of("format", name, FORMATS)] for name in formats}
    each = {text: _update(text) for text in updates}
    if not each:
        raise ValueError(f"updates={checks.quoted(updates)} are none: give at least two, such as ['0.001', '0.005']")
    reach = max(each.values()) * checks.size("most", most) * Fraction(5, 4)
    paths = {(name, text): _paths(format_, each[text], most) for name, format_ in known.items() for text in updates}

    def draw(format: str, update: str, made: int) -> Frame:
        chosen = known[format]
        exact, rounded, by_chance = (path[made] for path in paths[format, update])
        rows = [
            (f"added in float32 (at the mark), then rounded to {format}", Fraction(chosen.rounded(exact))),
            ("added and rounded, each time", rounded),
            ("added and rounded by chance, each time", by_chance),
        ]
        ticks = [_x(1 + gap(chosen, 1) * number, reach) for number in range(int(reach / gap(chosen, 1)) + 1)]
        shapes = [
            *(shape for number, row in enumerate(rows) for shape in _line(_ROW * number + 38, row, ticks, reach)),
            *_copy(_x(exact, reach)),
        ]
        table = Table(
            ["after the updates", "the weight"],
            [
                ("exactly", _written(exact)),
                *((label, _written(value)) for label, value in rows),
                ("rounded by chance, on average", _written(exact)),
                (f"gap of {format} above 1", _written(gap(chosen, 1))),
                ("largest update that is lost", _written(largest_lost(chosen, 1))),
            ],
        )
        return Frame(shapes, _said(chosen, update, made, rounded), table)

    return Picture(
        "updates",
        "A weight of 1 after small updates",
        _ROW * 3 + 12,
        draw,
        [
            Choice("format", "Weight in", list(formats)),
            Choice("update", "Update", list(updates)),
            Steps("made", "Updates made", range(most + 1)),
        ],
    )


def _update(text: str) -> Fraction:
    try:
        number = Fraction(text)
    except (TypeError, ValueError, ZeroDivisionError):
        number = Fraction(0)
    if number <= 0:
        raise ValueError(f"update={checks.quoted(text)} is not a positive number: write one such as '0.001'")
    return number


def _paths(format_: Format, update: Fraction, most: int) -> tuple[list[Fraction], list[Fraction], list[Fraction]]:
    """Return the weight after each update: exactly, rounded each time, and rounded by chance."""
    dice = random.Random(_SEED)

    def by_chance(weight: Fraction, _: int) -> Fraction:
        chances = stochastic(format_, weight + update)
        return chances.above if dice.random() < chances.chance else chances.below

    exact = [1 + update * made for made in range(most + 1)]
    rounded = accumulate(range(most), lambda weight, _: Fraction(format_.rounded(weight + update)), initial=Fraction(1))
    return exact, list(rounded), list(accumulate(range(most), by_chance, initial=Fraction(1)))


def _x(weight: Fraction, reach: Fraction) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * float(min((weight - 1) / reach, Fraction(1))), 1)


def _line(y: float, row: tuple[str, Fraction], ticks: Sequence[float], reach: Fraction) -> Iterator[str]:
    """Draw the numbers of a format from 1 on, and how far a weight has come."""
    label, weight = row
    x = _x(weight, reach)
    yield words(_LEFT, y - 24, label, "start")
    yield rect(_LEFT, y - 8, x - _LEFT, 8, "optimizer full")
    yield line(_LEFT, y, _RIGHT, y)
    yield path(*((place, y + off) for place in ticks for off in (0, 7, 0)), closed=False)
    yield path((x, y), (x - 5, y - 12), (x + 5, y - 12), kind="optimizer full")
    yield words(_RIGHT + 10, y - 4, _written(weight), "start strong")


def _copy(x: float) -> Iterator[str]:
    """Mark on the first line where the float32 copy is."""
    yield line(x, 22, x, 42, stroke_width=2)


def _written(number: Fraction | float) -> str:
    """Write a number with up to twelve digits.

    >>> _written(Fraction(129, 128))
    '1.0078125'
    """
    return f"{float(number):.12g}"


def _said(format_: Format, text: str, made: int, rounded: Fraction) -> str:
    update = Fraction(text)
    exact = 1 + made * update
    step, lost = gap(format_, 1), largest_lost(format_, 1)
    if not made:
        return (
            f"Above 1, the numbers of {format_.name} lie {_written(step)} apart. Updates of {text} are added. "
            "Where is the weight after the last one? Say a number for each line, then step."
        )
    said = f"{made} update{'s' * (made > 1)} of {text} make{'s' * (made == 1)} {_written(exact)}. "
    if update <= lost:
        return (
            f"{said}Rounded each time: still 1. An update of up to half of the gap, {_written(lost)}, is lost, however "
            "often it comes. The float32 copy adds them all up."
        )
    if rounded == exact:
        return f"{said}The update is a number of gaps, and nothing is lost."
    way = "too far" if rounded > exact else "not far enough"
    return (
        f"{said}Rounded each time: {_written(rounded)}, {way}, as each update counts as a whole number of gaps of "
        f"{_written(step)}. By chance, the weight is right on average."
    )
