"""Draw what equal blocks hold for the backward pass over a step, and the FLOPs that a checkpoint runs again."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import NamedTuple

from sympy import Expr

from flopbook import checks
from flopbook.drawing.controls import Choice, Steps
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.axes import L
from flopbook.predict.recomputation import Block, Trade
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total
from flopbook.units import si

__all__ = ["PLANS", "saw_tooth"]

#: What a reader can choose to keep, and how many blocks share a checkpoint; 0 where there is none around blocks.
PLANS = {
    "everything": 0,
    "all but squares": 0,
    "each block's input": 1,
    "every 2nd block's input": 2,
    "every 3rd block's input": 3,
    "every 4th block's input": 4,
}
_EVERYTHING, _SQUARES, *_ = PLANS
_LEFT, _RIGHT, _TOP, _BOTTOM = 56.0, WIDTH - 4.0, 20.0, 190.0
_WORK = {"forward": "forward", "recomputed": "recomputed", "backward": "backward"}


class _Now(NamedTuple):
    """Holds the bytes at a moment, the FLOPs until then, and the blocks that have just run again."""

    kept: int
    again: int
    flops: Mapping[str, int]
    reran: range | None


def saw_tooth(sizes: Mapping[str, int], layers: int) -> Picture:
    """Draw the bytes that blocks hold for the backward pass at each moment of a step, under a plan to choose.

    Parameters
    ----------
    sizes : mapping of str to int
        The sizes B, T, D, H, E and F of :class:`flopbook.predict.recomputation.Block`.
    layers : int
        How many blocks there are.

    Raises
    ------
    TypeError, ValueError
        If a size is missing, or the blocks are not a whole number of at least 1.

    Examples
    --------
    >>> picture = saw_tooth(dict(B=2, T=5, D=12, H=3, E=4, F=48), layers=4)
    >>> print(picture.frame(keep="every 2nd block's input", moment=5).sentence)
    Backward comes to block 4. Blocks 3 and 4 run again, from the input that was kept. 8.84 kB are held, 51% of what \
keeping everything takes at the most. This is the most of this plan.
    """
    known, number = checks.sizes(sizes), checks.size("layers", layers)
    blocks = {"unfused": Block(), "fused": Block(fused=True)}
    found = {
        (name, keep): list(_moments(block, keep, known, number)) for name, block in blocks.items() for keep in PLANS
    }
    most = {setting: max(now.kept + now.again for now in moments) for setting, moments in found.items()}
    highest, longest = max(most.values()), max(sum(moments[-1].flops.values()) for moments in found.values())
    scale = (_BOTTOM - _TOP) / highest

    def draw(attention: str, keep: str, moment: int) -> Frame:
        moments = found[attention, keep]
        now, everything = moments[moment - 1], most[attention, _EVERYTHING]
        rows = [
            ("kept since the forward pass", now.kept), ("made again", now.again),
            Total(("bytes held", now.kept + now.again)), *now.flops.items(), Total(("FLOPs", sum(now.flops.values()))),
        ]  # fmt: skip
        return Frame(
            [
                *_axes(scale, number),
                *_bars(moments, scale),
                *_cursor(moment, number, now, scale),
                *_legend(now),
                *_work(now, longest),
                *_handles(len(moments)),
            ],
            _sentence(moment, number, attention, keep, now, most[attention, keep], everything),
            Table(["", "amount"], rows),
        )

    return Picture(
        "saw-tooth",
        "What blocks hold for the backward pass",
        _BOTTOM + 102,
        draw,
        [
            Choice("keep", "Keep", list(PLANS)),
            Choice("attention", "Attention is", list(blocks)),
            Steps("moment", "Moment of the step", range(1, 2 * number + 1)),
        ],
    )


def _plan(block: Block, keep: str) -> Trade:
    if every := PLANS[keep]:
        return block.checkpoint_every(every, L)
    return block.recompute_squares(L) if keep == _SQUARES and not block.fused else block.keep_all(L)


def _moments(block: Block, keep: str, sizes: Mapping[str, int], layers: int) -> Iterator[_Now]:
    """Go through the blocks, forward and back; a block's moment is that at which it holds the most."""
    every, plan = PLANS[keep], _plan(block, keep)

    def at(amount: Expr, blocks: int = 1) -> int:
        return int(evaluate(amount, {**sizes, "L": blocks}))

    kept, entered, forward = at(block.kept), at(block.input), at(block.forward)
    after = [at(plan.after_forward, blocks) for blocks in range(1, layers + 1)]
    for place, held in enumerate(after, 1):
        yield _Now(held, 0, {"forward": place * forward, "recomputed": 0, "backward": 0}, None)
    again = 0
    for place in range(layers, 0, -1):
        reran = None
        if every:
            start = (place - 1) // every * every
            held = after[place - 1] + (place - start) * kept - entered
            if place == layers or place % every == 0:
                reran = range(start + 1, place + 1)
                again += at(plan.recomputed, len(reran))
        else:
            held = at(plan.activations, place)
            again += at(plan.recomputed)
        flops = {"forward": layers * forward, "recomputed": again, "backward": 2 * (layers - place + 1) * forward}
        yield _Now(after[place - 1], held - after[place - 1], flops, reran)


def _x(place: int, slots: int) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * place / slots, 1)


def _axes(scale: float, layers: int) -> Iterator[str]:
    most = (_BOTTOM - _TOP) / scale
    gap = next(step for power in count() for step in (10**power, 2 * 10**power, 5 * 10**power) if most / step < 5)
    for tick in range(0, int(most) + 1, gap):
        y = _BOTTOM - tick * scale
        yield line(_LEFT, y, _RIGHT, y, "faint", stroke_width=0.8)
        yield words(_LEFT - 4, y, si(tick, "B"), "end")
    middle = _x(layers, 2 * layers)
    yield line(middle, _TOP - 8, middle, _BOTTOM, stroke_dasharray="3 3")
    yield words(middle - 6, _TOP - 8, "forward", "end")
    yield words(middle + 6, _TOP - 8, "backward", "start")


def _bars(moments: Sequence[_Now], scale: float) -> Iterator[str]:
    width = (_RIGHT - _LEFT) / len(moments)
    for place, now in enumerate(moments):  # lines, of which one number changes; what was kept is drawn over all
        x = _x(place, len(moments)) + width / 2
        for amount, look in ((now.kept + now.again, "recomputed"), (now.kept, "bytes")):
            yield line(x, _BOTTOM, x, round(_BOTTOM - amount * scale), look, stroke_width=round(width - 2, 1))


def _cursor(moment: int, layers: int, now: _Now, scale: float) -> Iterator[str]:
    slots = 2 * layers
    x, width = _x(moment - 1, slots), round((_RIGHT - _LEFT) / slots, 1)
    top = round(_BOTTOM - (now.kept + now.again) * scale)
    block = moment if moment <= layers else slots + 1 - moment
    yield rect(x - 1, top - 4, width + 2, _BOTTOM - top + 8, stroke_width=2.5)
    middle = min(max(x + width / 2, _LEFT + 22), _RIGHT - 24)
    yield words(middle, _BOTTOM + 14, f"block {block}", "strong")


def _legend(now: _Now) -> Iterator[str]:
    y = _BOTTOM + 36
    for x, look, name, amount in (
        (_LEFT, "bytes full", "kept", now.kept),
        (_LEFT + 130, "recomputed full", "made again", now.again),
    ):
        yield rect(x, y - 5, 10, 10, look)
        yield words(x + 15, y, f"{name} {si(amount, 'B')}", "start")


def _work(now: _Now, longest: int) -> Iterator[str]:
    y, x, scale = _BOTTOM + 54, _LEFT, (_RIGHT - _LEFT) / longest
    yield words(_LEFT - 4, y + 8, "FLOPs", "end")
    yield rect(_LEFT, y, _RIGHT - _LEFT, 16, "faint")
    for kind, look in _WORK.items():
        width = now.flops[kind] * scale
        yield rect(x, y, width, 16, look) if width else "<g/>"
        x += width
    for place, (kind, look) in enumerate(_WORK.items()):
        left = _LEFT + place * 130
        yield rect(left, y + 27, 10, 10, look)
        yield words(
            left + 15, y + 32, f"{'again' if kind == 'recomputed' else kind} {si(now.flops[kind], '')}", "start"
        )


def _handles(slots: int) -> Iterator[str]:
    width = round((_RIGHT - _LEFT) / slots, 1)
    for place in range(slots):
        yield rect(_x(place, slots), _TOP, width, _BOTTOM - _TOP, "handle", data_set=f"moment={place + 1}")


def _sentence(  # noqa: PLR0913, PLR0917  (what is to be said)
    moment: int, layers: int, attention: str, keep: str, now: _Now, most: int, everything: int
) -> str:
    held = now.kept + now.again
    share = f"{held / everything:.0%} of what keeping everything takes at the most"
    if moment < layers:
        ask = " Where will the most be held, and how much will run again? Guess, then step on." if moment == 1 else ""
        return f"Forward, block {moment} of {layers}: {si(held, 'B')} kept. {_keeps(attention, keep)}{ask}"
    if moment == layers:
        is_most = " This is the most of this plan." if held == most else " Is this the most? Guess, then step on."
        return f"The forward pass ends, and {si(held, 'B')} are kept, {share}.{is_most}"
    block = 2 * layers + 1 - moment
    again = "" if now.reran is None else f" {_blocks(now.reran)} again, from the input that was kept."
    if keep == _SQUARES and attention == "unfused":
        again = " Its scores and their softmax run again, from queries and keys."
    end = " This is the most of this plan." if held == most else ""
    if moment == 2 * layers:
        ran, needed = sum(now.flops.values()), now.flops["forward"] + now.flops["backward"]
        end = f" In the end the hardware has run {ran / needed:.3g} times the model's FLOPs." + end
    return f"Backward comes to block {block}.{again} {si(held, 'B')} are held, {share}.{end}"


def _blocks(reran: range) -> str:
    first, last = reran[0], reran[-1]
    if first == last:
        return "It runs"
    return f"Blocks {first} {'and' if last == first + 1 else 'to'} {last} run"


def _keeps(attention: str, keep: str) -> str:
    if every := PLANS[keep]:
        return "Of each block only the input stays." if every == 1 else f"Of {every} blocks only the first input stays."
    if keep == _SQUARES:
        if attention == "fused":
            return "A fused attention keeps no square, so there is nothing to leave out."
        return "All stays but what has a number for each query and key."
    return "All that the backward pass will read stays."
