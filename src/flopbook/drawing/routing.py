"""Draw tokens that a router sends to experts: rows that run, empty slots that run as well, and rows dropped."""

from collections.abc import Iterator, Mapping
from fractions import Fraction

from flopbook import checks
from flopbook.checks import quoted
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.models.experts import Filled, experts_layer, fill, slots
from flopbook.predict.steps import flops
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total

_EXPERTS, _MOST = (4, 6, 8), 8
_TOP = (1, 2, 3)
_NO_LIMIT = "no limit"
_CAPACITY = {_NO_LIMIT: None, "1": Fraction(1), "1.25": Fraction(5, 4), "1.5": Fraction(3, 2)}
_EVEN, _UNEVEN, _ALIKE = "evenly", "unevenly", "all alike"
_TOKENS = 16

_UNIT = 6.0  # height of a row
_FLOOR, _BARS = 186.0, 222.0  # where the stacks stand, and the first bar
_LEFT, _SCALE = 62.0, 250.0  # where bars begin, and how long that of the most rows is
_MOST_ROWS = _TOKENS * _TOP[-1] * 3 // 2


def token_routing(sizes: Mapping[str, int]) -> Picture:
    """Draw how 16 tokens go to experts: what is needed, what runs, and what is dropped.

    Parameters
    ----------
    sizes : mapping of str to int
        The width D of the tokens, and the width F of an expert.

    Raises
    ------
    TypeError, ValueError
        If a size is missing, or is not a positive integer.

    Notes
    -----
    The FLOPs are those of the forward products of `flopbook.predict.models.experts_layer` without a gate, the router's
    left out.

    Examples
    --------
    >>> print(token_routing(dict(D=8, F=16)).frame(capacity="1", choice="evenly").sentence)
    Each expert has 4 slots, 32 together, and 32 rows come: all find one, and none stays empty. Now let some experts \
be chosen more often.
    """
    widths = checks.sizes(sizes)
    if missing := [letter for letter in "DF" if letter not in widths]:
        raise ValueError(f"{quoted(sizes)} has no size {', '.join(missing)}: write dict(D=8, F=16)")
    a_row = int(evaluate(flops(experts_layer().forward[1:]), widths | {"M": 1}))

    def draw(choice: str, X: int, K: int, capacity: str) -> Frame:
        loads = _loads(choice, X, K)
        limit, needed = _CAPACITY[capacity], sum(loads)
        room = max(loads) if limit is None else int(evaluate(slots(limit), dict(B=1, T=_TOKENS, K=K, X=X)))
        filled = fill(loads, room)
        run = needed if limit is None else room * X
        rows = [(f"expert {number + 1}", load, *_row(load, room, limit)) for number, load in enumerate(loads)]
        table = Table(
            ["", "rows that come", "dropped", "empty slots", "FLOPs"],
            [
                *(
                    (name, load, dropped, empty, (load - dropped + empty) * a_row)
                    for name, load, dropped, empty in rows
                ),
                Total(("together", needed, filled.dropped, run - filled.kept, run * a_row)),
            ],
        )
        return Frame(
            [*_flow(loads), *_stacks(loads, room, limit), *_sums(needed, run, filled.kept, a_row)],
            _with_slots(filled, room, X) if limit else _without_slots(loads, K),
            table,
        )

    return Picture(
        "token-routing",
        "Tokens on their way through experts",
        _BARS + 4 * 18,
        draw,
        [
            Choice("choice", "Tokens choose", [_EVEN, _UNEVEN, _ALIKE], start=_UNEVEN),
            Slider("X", "X, experts", _EXPERTS, start=8),
            Slider("K", "K, chosen", _TOP, start=2),
            Slider("capacity", "Capacity factor", list(_CAPACITY)),
        ],
    )


def _row(load: int, room: int, limit: Fraction | None) -> tuple[int, int]:
    """Return what an expert drops, and its empty slots."""
    one = fill([load], room)
    return (one.dropped, one.empty) if limit else (0, 0)


def _loads(choice: str, X: int, K: int) -> list[int]:
    """Say how many tokens choose each expert.

    >>> _loads("evenly", 6, 2), _loads("unevenly", 6, 2), _loads("all alike", 6, 2)
    ([6, 6, 5, 5, 5, 5], [4, 7, 14, 2, 2, 3], [16, 16, 0, 0, 0, 0])
    """
    if choice == _ALIKE:
        return [_TOKENS] * K + [0] * (X - K)
    weights = [Fraction(1, 1 + (5 * number + 2) % X) if choice == _UNEVEN else Fraction(1) for number in range(X)]
    loads = [0] * X
    for _ in range(_TOKENS * K):  # the next row goes where it is most wanted
        open_ones = [number for number in range(X) if loads[number] < _TOKENS]
        chosen = max(open_ones, key=lambda number: (weights[number] / (loads[number] + 1), -number))
        loads[chosen] += 1
    return loads


def _centre(number: int, of: int) -> float:
    return WIDTH * (number + 0.5) / of


def _flow(loads: list[int]) -> Iterator[str]:
    """Draw the tokens, the router, and a line to each expert, as wide as its rows."""
    yield words(4, 8, f"{_TOKENS} tokens", "start")
    for number in range(_TOKENS):
        yield rect(88 + 17 * number, 3, 10, 10, "forward full")
    yield line(WIDTH / 2, 15, WIDTH / 2, 24)
    yield rect(WIDTH / 2 - 40, 24, 80, 20, "", rx=4)
    yield words(WIDTH / 2, 34.5, "router")
    for number, load in enumerate(_padded(loads)):
        if load is None:
            yield "<g/>"
        else:
            x = _centre(number, len(loads))
            kind = "forward faint" if load else "left-out"
            yield line(WIDTH / 2, 44, x, 66, kind, stroke_width=1 + load / 2)


def _padded(loads: list[int]) -> list[int | None]:
    """Keep the place of each shape, however many experts there are."""
    return [*loads, *[None] * (_MOST - len(loads))]


def _stacks(loads: list[int], room: int, limit: Fraction | None) -> Iterator[str]:
    """Draw the rows of each expert in front of its slots: what is seen of the slots is empty, of the rows dropped."""
    width, free = WIDTH / len(loads) - 14, room if limit else 0
    for number, load in enumerate(_padded(loads)):
        if load is None:
            yield from ["<g/>"] * 5
            continue
        x = _centre(number, len(loads))
        top, rim = _FLOOR - min(load, room) * _UNIT, _FLOOR - free * _UNIT
        yield rect(x - width / 2 + 1, _FLOOR - load * _UNIT + 1, width - 2, load * _UNIT - bool(load), "left-out")
        yield rect(x - width / 2, rim, width, free * _UNIT, "forward line")
        yield line(x, _FLOOR, x, rim, "forward", stroke_width=width if free else 0, stroke_dasharray=f"1 {_UNIT - 1:g}")
        yield line(x, _FLOOR - 1, x, top, "forward", stroke_width=width, stroke_dasharray=f"{_UNIT - 1:g} 1")
        yield words(x, _FLOOR + 11, f"{load}", "strong")
    yield words(4, _FLOOR + 25, "rows that chose the expert", "start")
    yield line(0, _FLOOR, WIDTH, _FLOOR)
    yield words(WIDTH, _FLOOR + 25, f"{room} slots each" if limit else "", "end")


def _sums(needed: int, run: int, kept: int, a_row: int) -> Iterator[str]:
    """Draw a bar each for what is needed, what runs, what of that is of use, and what is dropped."""
    bars = {
        "needed": (needed, ""),
        "run": (run, "forward line"),
        "of use": (kept, "forward full"),
        "dropped": (needed - kept, "left-out"),
    }
    for number, (name, (rows, kind)) in enumerate(bars.items()):
        y = _BARS + 18 * number
        yield words(4, y + 7, name, "start")
        yield rect(_LEFT, y, _SCALE * rows / _MOST_ROWS, 13, kind)
        yield words(WIDTH, y + 7, f"{rows * a_row:,} FLOPs", "end")


def _without_slots(loads: list[int], K: int) -> str:
    needed, fullest = sum(loads), max(loads)
    return (
        f"{needed} rows, {K} for each token, take {Fraction(K, len(loads))} of the FLOPs of all {len(loads)} experts "
        f"for all tokens, whoever is chosen. But the fullest expert has {fullest} rows, "
        f"{float(Fraction(fullest * len(loads), needed)):.3g} times the mean: where each has a device of its own, all "
        "wait for it. Now give each expert equally many slots, with a capacity: what is lost?"
    )


def _with_slots(filled: Filled, room: int, X: int) -> str:
    together = room * X
    said = f"Each expert has {room} slots, {together} together, and {filled.kept + filled.dropped} rows come: "
    if filled.dropped:
        return said + (
            f"{filled.dropped} find no slot and skip the experts, {filled.empty} slots stay empty and are multiplied "
            f"for nothing. Of the FLOPs that run, {float(Fraction(filled.kept, together)):.1%} are of use."
        )
    if filled.empty:
        return said + f"all find one. {filled.empty} slots stay empty, and are multiplied like all others, for nothing."
    return said + "all find one, and none stays empty. Now let some experts be chosen more often."
