"""Draw printed figures beside what follows from one of them."""

from collections.abc import Callable, Iterator, Mapping
from math import ceil, floor, log10

from flopbook import checks
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, rect, words
from flopbook.tables import Table

_ROW, _TOP, _LEFT = 46.0, 8.0, 16.0


def what_follows(claims: Mapping[str, int], follows: Mapping[str, Mapping[str, tuple[int, int]]]) -> Picture:
    """Draw each printed figure on an axis, and the range that follows for it from one that is taken for true.

    Parameters
    ----------
    claims : mapping of str to int
        What a report prints, by name.
    follows : mapping of str to mapping
        For each claim that can be taken for true, the least and the most that the others can then be.

    Raises
    ------
    ValueError
        If something follows for a claim that is not printed.

    Examples
    --------
    >>> picture = what_follows(dict(a=100, b=20), dict(a=dict(b=(150, 200)), b=dict(a=(10, 100))))
    >>> print(picture.frame(true="a").sentence)
    Take a for true, 100. Then b would be from 150 to 200, and 20 is printed: it does not fit. \
Which figure fits no other?
    >>> print(picture.frame(true="b").sentence)
    Take b for true, 20. Then a would be from 10 to 100, and 100 is printed: it fits. Which figure fits no other?
    """
    for name in [*follows, *(other for others in follows.values() for other in others)]:
        checks.one_of("claim", name, claims)
    amounts = [*claims.values(), *(end for others in follows.values() for ends in others.values() for end in ends)]
    first, last = floor(log10(min(amounts))), ceil(log10(max(amounts)))

    def place(amount: int) -> float:
        return _LEFT + (WIDTH - 2 * _LEFT) * (log10(amount) - first) / (last - first)

    def draw(true: str) -> Frame:
        ranges = follows[true]
        return Frame(
            [*_axis(first, last, place, len(claims)), *_rows(claims, ranges, true, place)],
            f"Take {true} for true, {claims[true]:,}. "
            + " ".join(_said(name, claims[name], *ends) for name, ends in ranges.items())
            + " Which figure fits no other?",
            Table(
                ["", "printed", "from", "to", ""],
                [
                    (name, claim, *ranges.get(name, (None, None)), _verdict(name, claim, ranges))
                    for name, claim in claims.items()
                ],
            ),
        )

    height = _TOP + len(claims) * _ROW + 30
    return Picture(
        "what-follows", "What follows from one figure for the others", height, draw,
        [Choice("true", "Take for true", list(follows))],
    )  # fmt: skip


def _verdict(name: str, claim: int, ranges: Mapping[str, tuple[int, int]]) -> str:
    if name not in ranges:
        return "taken for true"
    least, most = ranges[name]
    return "fits" if least <= claim <= most else "does not fit"


def _said(name: str, claim: int, least: int, most: int) -> str:
    range_ = f"{least:,}" if least == most else f"from {least:,} to {most:,}"
    return (
        f"Then {name} would be {range_}, and {claim:,} is printed: it {_verdict(name, claim, {name: (least, most)})}."
    )


def _axis(first: int, last: int, place: Callable[[int], float], rows: int) -> Iterator[str]:
    """Draw a logarithmic axis, and what its marks stand for."""
    y = _TOP + rows * _ROW
    for power in range(first, last + 1):
        x = place(10**power)
        yield line(x, _TOP, x, y, "faint")
        yield words(x, y + 12, f"10{str(power).translate(_RAISED)}")


_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def _rows(
    claims: Mapping[str, int], ranges: Mapping[str, tuple[int, int]], true: str, place: Callable[[int], float]
) -> Iterator[str]:
    """Draw a circle for what is printed, and a bar for what would follow."""
    for row, (name, claim) in enumerate(claims.items()):
        y = _TOP + row * _ROW
        yield words(WIDTH / 2, y + 9, f"{name}: {_verdict(name, claim, ranges)}", "strong" if name == true else "")
        if name in ranges:
            left, right = (place(end) for end in ranges[name])
            yield rect(left - 2, y + 20, right - left + 4, 14, "forward full")
        else:
            yield element("g")
        yield element("circle", cx=place(claim), cy=y + 27, r=8, stroke_width=2.5)
