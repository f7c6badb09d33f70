"""Draw numbers as their bits, and where formats have numbers at all."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from math import inf, isnan, log2

from flopbook import checks
from flopbook.drawing.controls import Choice, Tick
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, path, rect, words
from flopbook.predict.formats import FORMATS, Format
from flopbook.tables import Table
from flopbook.units import plain

_LEFT, _RIGHT = 46.0, WIDTH - 10.0
_SUPERSCRIPTS = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def flip_bits(format_: str, start: float) -> Picture:
    """Draw an 8-bit number whose bits a reader can flip.

    Parameters
    ----------
    format_ : str
        ``e4m3`` or ``e5m2``.
    start : float
        The number at first.

    Raises
    ------
    ValueError
        If the format is not one of 8 bits.

    Examples
    --------
    >>> print(flip_bits("e4m3", 1.5).frame().sentence)
    (1 + 4/8) · 2⁰ = 1.5. Flip bits: which make 448, the largest number of e4m3?
    """
    known = FORMATS[checks.one_of("format", format_, [name for name, each in FORMATS.items() if each.bits == 8])]
    first = known.nearest(Fraction(start))
    names = [f"bit{place}" for place in reversed(range(8))]

    def draw(**bits: bool) -> Frame:
        pattern = sum(bits[name] << place for name, place in zip(names, reversed(range(8)), strict=True))
        size = pattern % 128
        beside = {
            "toward 0": known.value(max(size - 1, 0)),
            "here": known.value(size),
            "away from 0": known.value(min(size + 1, 127)),
        }
        return Frame(
            [*_bits(known, pattern, 26.0, names), *_every_number(known, beside["here"]), *_strip(beside)],
            f"{_formula(known, pattern)}. {_said(known, pattern, asks=pattern == first)}",
            Table(["without the sign", "number"], [(where, _written(number)) for where, number in beside.items()]),
        )

    ticks = [
        Tick(name, f"bit {number + 1}", start=bool(first >> (7 - number) & 1)) for number, name in enumerate(names)
    ]
    return Picture(f"bits-of-{format_}", f"The bits of a number in {format_}", 186, draw, ticks)


def keep_number(numbers: Mapping[str, Fraction], formats: Sequence[str]) -> Picture:
    """Draw what becomes of numbers in formats: their bits, and where they lie in the reach of each format.

    Parameters
    ----------
    numbers : mapping of str to Fraction
        Positive numbers, by what the reader calls them.
    formats : sequence of str
        Names in `FORMATS`.

    Raises
    ------
    ValueError
        If a format is not known.

    Examples
    --------
    >>> picture = keep_number({"1": Fraction(1), "100,000": Fraction(100_000)}, ["bf16", "fp16"])
    >>> print(picture.frame(number="100,000", format="fp16").sentence)
    100,000 becomes infinity in fp16, whose largest number is 65,504.
    """
    known = {name: FORMATS[checks.one_of("format", name, FORMATS)] for name in formats}

    def draw(number: str, format: str) -> Frame:
        chosen, exact = known[format], numbers[number]
        asks = (number, format) == (next(iter(numbers)), formats[0])
        pattern = chosen.nearest(exact)
        return Frame(
            [*_bits(chosen, pattern, min(26.0, 400 / chosen.bits)), *_reaches(known, chosen, exact)],
            _kept(number, exact, chosen, asks),
            Table(
                ["format", "the number becomes", "largest", "smallest"],
                [
                    (name, _written(each.value(each.nearest(exact))), _written(each.largest), _written(each.smallest))
                    for name, each in known.items()
                ],
            ),
        )

    return Picture(
        "numbers",
        "What becomes of a number",
        108 + 22 * len(known),
        draw,
        [Choice("number", "Number", list(numbers)), Choice("format", "Format", list(formats))],
    )


def _written(number: Fraction | float, digits: int = 6) -> str:
    """Write a number with few digits.

    >>> [_written(number) for number in (Fraction(3, 2), Fraction(99840), inf, Fraction(1, 2**24), Fraction(0))]
    ['1.5', '99,840', 'infinity', '5.96046e-08', '0']
    """
    if isinstance(number, float):
        return "not a number" if isnan(number) else "infinity" if number > 0 else "-infinity"
    return f"{float(number):,.{digits}g}" if abs(number) < 10**6 else f"{float(number):.3g}"


def _power(exponent: int) -> str:
    return "2" + f"{exponent}".translate(_SUPERSCRIPTS)


def _formula(format_: Format, pattern: int) -> str:
    sign, exponent, fraction = format_.parts(pattern)
    value = format_.value(pattern)
    if isinstance(value, float):
        ones = "All bits of the exponent" if format_.has_infinity else "All bits but the sign"
        return f"{ones} are 1: {_written(value)}"
    significand = f"({'1 + ' if exponent else ''}{fraction}/{2**format_.fraction_bits})"
    return f"{'-' * sign}{significand} · {_power(max(exponent, 1) - format_.bias)} = {_written(value)}"


def _said(format_: Format, pattern: int, asks: bool) -> str:
    value, largest = format_.value(pattern), _written(format_.largest)
    if isinstance(value, float):
        others = "both infinities and six patterns" if format_.has_infinity else "no infinity, and two patterns"
        return f"{format_.name} has {others} that are not numbers."
    if asks:
        return f"Flip bits: which make {largest}, the largest number of {format_.name}?"
    if value == format_.largest:
        return f"This is the largest number of {format_.name}."
    if not format_.parts(pattern)[1]:
        return "The exponent's bits are all 0, and then no 1 stands before the fraction."
    return "The exponent chooses between two powers of two, the fraction a place between them."


def _kept(name: str, exact: Fraction, format_: Format, asks: bool) -> str:
    value = format_.value(format_.nearest(exact))
    becomes = f"{name} becomes {_written(value, digits=9)} in {format_.name}"
    if asks:
        return f"{becomes}. What does each other format make of it? Guess, then choose."
    if exact > format_.largest:
        largest = f"whose largest number is {_written(format_.largest)}" if value == inf else "its largest number"
        return f"{becomes}, {largest}."
    if value == exact:
        return f"{name} is a number of {format_.name}, and kept as it is."
    if value == 0:
        return f"{becomes}, whose smallest number is {_written(format_.smallest)}."
    off, numbers = plain(round(exact / abs(Fraction(value) - exact))), f"{2**format_.fraction_bits:,}"
    if exact < format_.smallest_normal:
        return f"{becomes}, off by 1 part in {off}: so near to 0, the numbers of {format_.name} lie equally far apart."
    return f"{becomes}, off by 1 part in {off}. {format_.name} has {numbers} numbers from a power of two to the next."


def _bits(format_: Format, pattern: int, width: float, names: Sequence[str] = ()) -> Iterator[str]:
    """Draw the bits in three groups; a click on one flips it, if it has a name."""
    lengths = {"sign": 1, "exponent": format_.exponent_bits, "fraction": format_.fraction_bits}
    left, place = (WIDTH - format_.bits * width - 20) / 2, format_.bits
    for label, length in lengths.items():
        yield words(left + length * width / 2, 44, label)
        for _ in range(length):
            place -= 1
            bit = pattern >> place & 1
            flips = f"{names[-1 - place]}={not bit}" if names else ""
            yield rect(left, 8, width - 2, 24, "bytes" if bit else "", data_set=flips)
            yield words(left + width / 2 - 1, 20, f"{bit}", "strong" if bit else "", data_set=flips)
            left += width
        left += 10


def _x(number: Fraction, lowest: float, highest: float) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * (log2(number) - lowest) / (highest - lowest), 1)


def _axis(y: float, lowest: float, highest: float, step: int) -> Iterator[str]:
    """Write powers of ten below a line."""
    yield line(_LEFT, y, _RIGHT, y)
    for power in range(-60, 61):
        if power % step == 0 and lowest <= log2(10) * power <= highest:
            x = _x(Fraction(10) ** power, lowest, highest)
            yield line(x, y, x, y + 4)
            yield words(x, y + 14, "10" + f"{power}".translate(_SUPERSCRIPTS) if power else "1")


def _every_number(format_: Format, value: Fraction | float) -> Iterator[str]:
    """Draw all positive numbers of a format on a line, and the place of one."""
    lowest, highest = log2(format_.smallest) - 0.5, log2(format_.largest) + 0.5
    y = 92.0
    yield words(_LEFT - 36, y - 26, "all positive numbers", "start")
    places = (_x(Fraction(format_.value(each)), lowest, highest) for each in range(1, format_.top + 1))
    yield element("path", d="".join(f"M{x:g} {y}v-12" for x in places), stroke_width=0.6)
    yield from _axis(y, lowest, highest, 1)
    x = _x(value, lowest, highest) if isinstance(value, Fraction) and value else -99.0  # beyond the drawing
    yield path((x, y - 10), (x - 5, y - 21), (x + 5, y - 21), kind="bytes full")


def _strip(beside: Mapping[str, Fraction | float]) -> Iterator[str]:
    """Draw a number between its neighbours."""
    y = 148.0
    yield words(_LEFT - 36, y - 18, "its neighbours, without the sign", "start")
    yield line(_LEFT, y, _RIGHT, y)
    for number, x in zip(beside.values(), (_LEFT + 50, (_LEFT + _RIGHT) / 2, _RIGHT - 50), strict=True):
        yield line(x, y - 6, x, y + 6)
        yield words(x, y + 18, _written(number), "strong" if x == (_LEFT + _RIGHT) / 2 else "")


def _reaches(known: Mapping[str, Format], chosen: Format, number: Fraction) -> Iterator[str]:
    """Draw from where to where each format has numbers, and the place of one number."""
    lowest, highest = (
        log2(min(each.smallest for each in known.values())),
        log2(max(each.largest for each in known.values())),
    )
    top = 80.0
    for row, (name, each) in enumerate(known.items()):
        y = top + 22 * row
        start, normal, end = (_x(at, lowest, highest) for at in (each.smallest, each.smallest_normal, each.largest))
        yield words(_LEFT - 6, y + 7, name, "end strong" if each is chosen else "end")
        yield rect(start, y + 3, normal - start, 8, stroke_dasharray="3 2")
        yield rect(normal, y, end - normal, 14, "bytes full" if each is chosen else "bytes")
    yield from _axis(top + 22 * len(known) + 4, lowest, highest, 10)
    x = _x(number, lowest, highest)
    yield line(x, top - 8, x, top + 22 * len(known) + 4, stroke_width=2)
    yield words(min(max(x, 60), _RIGHT - 40), top - 15, "the number", "strong")
