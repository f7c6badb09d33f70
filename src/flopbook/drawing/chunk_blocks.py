"""Draw a scan that is cut into chunks: blocks of a triangle, and a state that goes from each chunk to the next."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

from flopbook.checks import quoted
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, path, rect, words
from flopbook.predict.models.recurrent import chunk_sizes, chunked_scan, recurrent_scan
from flopbook.predict.steps import flops
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total

__all__ = ["scan_in_chunks"]

_SIDE, _LEFT, _TOP = 192.0, 22.0, 58.0  # the triangle
_CHART, _FLOOR, _UNIT = 244.0, 186.0, 70.0  # where the bars begin, where they stand, and how high 1 x is
_WITHIN = ("s", "y")  # what the products of a query and the keys of its chunk make


@dataclass(frozen=True)
class _Work:
    """Holds the FLOPs of one head and one sequence, and how many steps wait for each other."""

    within: int  # products of queries with keys and values of their chunk
    states: int  # products that write and read states
    pointwise: int
    steps: int

    @property
    def total(self) -> int:
        return self.within + self.states + self.pointwise


def scan_in_chunks(tokens: int = 16, states: Sequence[tuple[int, int]] = ((16, 16), (64, 64), (128, 64))) -> Picture:
    """Draw a sequence cut into chunks, with the FLOPs of each cut and the steps that wait for each other.

    It is a scan without decay, of one head: linear attention.

    Parameters
    ----------
    tokens : int
        The length of the sequence, small enough to be drawn.
    states : sequence of two int
        Rows and columns of the states to choose from, at least two.

    Raises
    ------
    ValueError
        If there are fewer than 2 or more than 32 tokens.

    Notes
    -----
    The products are those of `flopbook.predict.models.chunked_scan`. Pointwise are one addition for each number of the
    state and each chunk, and one for each number of the result, where its two parts meet. Token by token, key times
    value and the sum are pointwise.

    Examples
    --------
    >>> picture = scan_in_chunks()
    >>> print(picture.frame(Q=2).sentence)
    8 chunks: 8 steps wait for each other, and 20,736 FLOPs are 1.27 times those of token by token. No other Q takes \
fewer FLOPs. Which takes fewer steps?
    """
    if not isinstance(tokens, int) or not 2 <= tokens <= 32:
        raise ValueError(f"tokens={quoted(tokens)} cannot be drawn: give a number from 2 to 32")
    by_name = {f"{rows} × {columns}": (rows, columns) for rows, columns in states}

    @cache
    def work(chunk: int, state: tuple[int, int]) -> _Work:
        return _in_chunks(tokens, chunk, *state)

    def draw(Q: int, state: str) -> Frame:
        rows, columns = by_name[state]
        every = [work(chunk, (rows, columns)) for chunk in range(1, tokens + 1)]
        once, here = _by_tokens(tokens, rows, columns), every[Q - 1]
        return Frame(
            [*_blocks(tokens, Q), *_chart([each.total / once for each in every], Q)],
            _sentence(every, Q, once),
            Table(
                ["", "FLOPs"],
                [
                    ("products within chunks", here.within),
                    ("products with states", here.states),
                    ("pointwise", here.pointwise),
                    Total((f"in chunks, {here.steps} {_plural('step', here.steps)} in a row", here.total)),
                    (f"token by token, {tokens} steps in a row", once),
                ],
            ),
        )

    return Picture(
        "scan-in-chunks",
        f"{tokens} tokens, cut into chunks",
        _TOP + _SIDE + 22,
        draw,
        [
            Slider("Q", "Q, tokens of a chunk", range(1, tokens + 1), start=min(4, tokens)),
            Choice("state", "Numbers of a state", list(by_name)),
        ],
    )


def _in_chunks(tokens: int, chunk: int, rows: int, columns: int) -> _Work:
    sizes = dict(B=1, T=tokens, G=1, H=1, N=rows, P=columns)
    chunks = -(-tokens // chunk)
    at = chunk_sizes(tokens, chunk)
    parts = {True: 0, False: 0}
    for product in chunked_scan().forward:
        parts[product.output.name in _WITHIN] += int(evaluate(product.flops.subs(at), sizes))
    return _Work(parts[True], parts[False], chunks * rows * columns + tokens * columns, chunks)


def _by_tokens(tokens: int, rows: int, columns: int) -> int:
    """Return the FLOPs token by token: reading is a product, key times value and the sum are pointwise."""
    sizes = dict(B=1, T=tokens, H=1, N=rows, P=columns)
    return int(evaluate(flops(recurrent_scan().forward), sizes)) + 2 * tokens * rows * columns


def _blocks(tokens: int, chunk: int) -> Iterator[str]:
    """Draw the blocks on the diagonal, what comes through a state on their left, and the states above."""
    cell = _SIDE / tokens
    yield words(_LEFT + _SIDE / 2, 10, "states, one after the other")
    yield words(_LEFT + _SIDE / 2, _TOP + _SIDE + 14, "tokens that are read")
    yield words(10, _TOP + _SIDE / 2, "tokens that read", transform=f"rotate(-90 10 {_TOP + _SIDE / 2:g})")
    for start in range(0, tokens, chunk):
        size, x, y = min(chunk, tokens - start), _LEFT + start * cell, _TOP + start * cell
        side = size * cell
        yield rect(x, y, side, side, "left-out")
        yield path((x, y), (x, y + side), (x + side, y + side), kind="forward")
        yield rect(_LEFT, y, start * cell, side, "bytes") if start else "<g/>"
        yield rect(x + side / 2 - 3.5, 28, 7, 12, "bytes", stroke_width=2)
        ahead = (side + min(chunk, tokens - start - size) * cell) / 2
        last = start + size == tokens
        yield "<g/>" if last else line(x + side / 2 + 3.5, 34, x + side / 2 + ahead - 3.5, 34, stroke_width=2)
    yield from ["<g/>"] * (5 * (tokens + -tokens // chunk))


def _chart(ratios: Sequence[float], chunk: int) -> Iterator[str]:
    """Draw the FLOPs of every Q beside those of token by token."""
    step = (WIDTH - _CHART - 4) / len(ratios)
    yield words((_CHART + WIDTH) / 2, 10, "FLOPs")
    for place, ratio in enumerate(ratios, start=1):
        x, high = _CHART + (place - 1) * step, _UNIT * ratio
        yield rect(x + 1, _FLOOR - high, step - 2, high, "forward" + " full" * (place == chunk))
    yield line(_CHART - 4, _FLOOR - _UNIT, WIDTH - 2, _FLOOR - _UNIT, stroke_dasharray="4 3")
    yield line(_CHART - 4, _FLOOR, WIDTH - 2, _FLOOR)
    here = _CHART + (chunk - 0.5) * step
    label = min(max(here, _CHART + 18), WIDTH - 24)
    below = max(ratios[max(0, chunk - 3) : chunk + 2])  # the label is as wide as a few bars
    yield words(label, _FLOOR - _UNIT * below - 9, f"{ratios[chunk - 1]:.2f} ×", "strong")
    yield words(here, _FLOOR + 12, f"{chunk}", "strong")
    yield words((_CHART + WIDTH) / 2, _FLOOR + 30, "Q, tokens of a chunk")
    yield line(_CHART, _FLOOR + 48, _CHART + 22, _FLOOR + 48, stroke_dasharray="4 3")
    yield words(_CHART + 28, _FLOOR + 48, "token by token", "start")
    yield path((_CHART, _FLOOR + 60), (_CHART, _FLOOR + 72), (_CHART + 12, _FLOOR + 72), kind="forward")
    yield words(_CHART + 17, _FLOOR + 66, "in its chunk", "start")
    yield rect(_CHART + 96, _FLOOR + 60, 14, 12, "bytes")
    yield words(_CHART + 115, _FLOOR + 66, "by a state", "start")
    for place in range(1, len(ratios) + 1):
        yield rect(_CHART + (place - 1) * step, 20, step, _FLOOR - 10, "handle", data_set=f"Q={place}")


def _plural(noun: str, number: int) -> str:
    return noun + "s" * (number != 1)


def _sentence(every: Sequence[_Work], chunk: int, once: int) -> str:
    here, steps = every[chunk - 1], every[chunk - 1].steps
    waits = f"{steps} steps wait for each other" if steps > 1 else "no step waits for another"
    said = (
        f"{steps} {_plural('chunk', steps)}: {waits}, and {here.total:,} FLOPs are {here.total / once:.2f} times those "
        "of token by token."
    )
    fewest = min(every, key=lambda work: work.total)
    if chunk == len(every):
        return f"{said} Each token meets every other, as in attention."
    if chunk == 1:
        return f"{said} Every token has a state of its own, and nothing is gained."
    if here == fewest:
        return f"{said} No other Q takes fewer FLOPs. Which takes fewer steps?"
    if chunk < every.index(fewest) + 1:
        return f"{said} A longer chunk takes fewer: there are fewer states to add up."
    return f"{said} Blue is read in the chunk, green comes by a state. Which Q takes fewest FLOPs?"
