"""Draw the bytes that a training step holds, from its first product to its update."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count, product, zip_longest
from typing import NamedTuple

from flopbook.drawing.controls import Choice, Steps, Tick
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, rect, words
from flopbook.predict.moments import KINDS, Moment, moments
from flopbook.predict.steps import TrainingStep
from flopbook.tables import Cell, Table, Total
from flopbook.units import si

__all__ = ["Setting", "memory_over_step"]

_FUNCTIONS, _OPTIMIZERS = ["SiLU", "ReLU"], ["AdamW", "SGD"]
_LOOKS = dict(zip(KINDS, ["bytes full", "optimizer", "backward full", "forward", "recomputed full", ""], strict=True))
_LEFT, _RIGHT, _TOP, _BOTTOM = 50.0, WIDTH - 4.0, 18.0, 190.0


class Setting(NamedTuple):
    """Names how a step is run."""

    function: str
    optimizer: str
    checkpoints: bool


_Slot = tuple[str, str]
_Placed = tuple[Moment | None, int | None]


def memory_over_step(
    step: TrainingStep, sizes: Mapping[str, int], measured: Mapping[Setting, Sequence[int]] | None = None
) -> Picture:
    """Draw the bytes at each moment of a step of a chain of layers, with any of its settings.

    Parameters
    ----------
    step : TrainingStep
        Of a chain, as :func:`flopbook.predict.moments.moments` takes it.
    sizes : mapping of str to int
        The size of each letter.
    measured : mapping of Setting to sequence of int, optional
        Bytes that were measured at each moment, drawn as circles.

    Raises
    ------
    ValueError
        If there are other than as many measured bytes as moments.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> layers = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> picture = memory_over_step(training_step(*layers, data="x"), dict(B=8, D=2, H=4, K=1))
    >>> print(picture.frame(function="ReLU", moment=2).sentence)
    Forward, ReLU: 572 bytes. It keeps its result alone, which the next layer keeps anyway.
    """

    slots = [_slot(moment) for moment in moments(step, sizes, function="ReLU", checkpoints=True)]
    settings = [Setting(*each) for each in product(_FUNCTIONS, _OPTIMIZERS, (False, True))]
    found = {setting: moments(step, sizes, **setting._asdict()) for setting in settings}
    marks = {Setting(*setting): list(seen) for setting, seen in (measured or {}).items()}
    for setting, seen in marks.items():
        if len(seen) != len(found[setting]):
            raise ValueError(
                f"{setting} has {len(seen)} measured bytes: give {len(found[setting])}, one for each moment"
            )
    placed = {setting: _placed(slots, found[setting], marks.get(setting, [])) for setting in settings}
    scale = (_BOTTOM - _TOP) / max(_total(moment) for of_one in found.values() for moment in of_one)
    turn = slots.index(("forward", "loss"))

    def draw(function: str, optimizer: str, checkpoints: bool, moment: int) -> Frame:
        setting = Setting(function, optimizer, checkpoints)
        place = moment - 1
        now, mark = placed[setting][place]
        rows: list[tuple[Cell, ...]] = [(kind, now and now.held[kind]) for kind in KINDS]
        rows.append(Total(("all", now and _total(now))))
        rows += [("measured", mark)] if marks else []
        guess = " Which kind will be the largest? Guess, then step on." if moment == 1 else ""
        return Frame(
            [
                *_axes(scale, len(slots), turn),
                *_bars(placed[setting], scale),
                *_cursor(place, len(slots), now, scale),
                *_legend(now),
                *_handles(len(slots)),
            ],
            _sentence(slots[place], setting, now, mark, max(map(_total, found[setting]))) + guess,
            Table(["held for", "bytes"], rows),
        )

    return Picture(
        "memory",
        "The bytes that a training step holds",
        _BOTTOM + 92,
        draw,
        [
            Choice("function", "Function", _FUNCTIONS),
            Choice("optimizer", "Optimizer", _OPTIMIZERS),
            Tick("checkpoints", "checkpoint each layer"),
            Steps("moment", "Moment of the step", range(1, len(slots) + 1)),
        ],
    )


def _slot(moment: Moment) -> _Slot:
    return moment.phase, "function" if moment.name in _FUNCTIONS else moment.name


def _placed(slots: Sequence[_Slot], found: Sequence[Moment], marks: Sequence[int]) -> list[_Placed]:
    """Put each moment into its slot; a slot without one is empty."""
    left = iter(list(zip_longest(found, marks)))
    placed: list[_Placed] = []
    after = next(left, None)
    for slot in slots:
        if after and (_slot(after[0]) == slot or slot[0] == after[0].phase == "optimizer"):
            placed.append(after)
            after = next(left, None)
        else:
            placed.append((None, None))
    return placed


def _total(moment: Moment) -> int:
    return sum(moment.held.values())


def _x(place: int, slots: int) -> float:
    return round(_LEFT + (_RIGHT - _LEFT) * place / slots, 1)


def _axes(scale: float, slots: int, turn: int) -> Iterator[str]:
    most = (_BOTTOM - _TOP) / scale
    gap = next(step for power in count() for step in (10**power, 2 * 10**power, 5 * 10**power) if most / step < 5)
    for tick in range(0, int(most) + 1, gap):
        y = _BOTTOM - tick * scale
        yield line(_LEFT, y, _RIGHT, y, "faint", stroke_width=0.8)
        yield words(_LEFT - 4, y, si(tick, "B"), "end")
    middle = _x(turn + 1, slots)
    yield line(middle, _TOP, middle, _BOTTOM, stroke_dasharray="3 3")
    yield words(middle - 6, _BOTTOM + 28, "forward", "end")
    yield words(middle + 6, _BOTTOM + 28, "backward", "start")
    yield words(_RIGHT, _BOTTOM + 28, "update", "end")


def _bars(placed: Sequence[_Placed], scale: float) -> Iterator[str]:
    width = round((_RIGHT - _LEFT) / len(placed), 1)
    for place, (moment, mark) in enumerate(placed):
        y = _BOTTOM
        for kind in KINDS:
            height = moment.held[kind] * scale if moment else 0.0
            y -= height
            yield rect(_x(place, len(placed)) + 1, y, width - 2, height, _LOOKS[kind]) if height else "<g/>"
        middle = _x(place, len(placed)) + width / 2
        yield "<g/>" if mark is None else element("circle", cx=middle, cy=_BOTTOM - mark * scale, r=3)


def _cursor(place: int, slots: int, now: Moment | None, scale: float) -> Iterator[str]:
    x, width = _x(place, slots), round((_RIGHT - _LEFT) / slots, 1)
    top = _BOTTOM - (_total(now) if now else 0) * scale
    yield rect(x - 1, top - 4, width + 2, _BOTTOM - top + 8, stroke_width=2.5)
    yield words(x + width / 2, _BOTTOM + 13, now.name if now else "–", "strong")


def _legend(now: Moment | None) -> Iterator[str]:
    for number, kind in enumerate(KINDS):
        column, row = divmod(number, 3)
        x, y = _LEFT + column * 206, _BOTTOM + 50 + 16 * row
        yield rect(x, y - 5, 10, 10, _LOOKS[kind])
        yield words(x + 15, y, kind, "start")
        yield words(x + 178, y, f"{now.held[kind]:,} B" if now else "–", "end")


def _handles(slots: int) -> Iterator[str]:
    for place in range(slots):
        yield rect(
            _x(place, slots),
            _TOP,
            round((_RIGHT - _LEFT) / slots, 1),
            _BOTTOM - _TOP,
            "handle",
            data_set=f"moment={place + 1}",
        )


def _sentence(slot: _Slot, setting: Setting, now: Moment | None, mark: int | None, most: int) -> str:
    """Say how much is held now, and why."""
    if now is None:
        why = (
            f"{setting.function}'s derivative needs its input alone, so that {setting.function} does not run again"
            if setting.checkpoints
            else "without checkpoints, all that the backward pass reads has been kept"
        )
        return f"Nothing runs here: {why}."
    total = _total(now)
    seen = "" if mark is None else ", and PyTorch held as many" if mark == total else f"; PyTorch held {mark:,}"
    peak = " This is the peak of the step." if total == most else ""
    return f"{_what(slot, setting)}: {total:,} bytes{seen}. {_why(slot, setting, now)}{peak}"


def _what(slot: _Slot, setting: Setting) -> str:
    phase, name = slot
    if phase == "optimizer":
        return f"In the end, {setting.optimizer}'s update"
    runs = {"function": setting.function, "loss": "the loss"}.get(name, f"the product with {name}")
    return f"{'Again' if phase == 'recomputed' else phase.capitalize()}, {runs}"


def _why(slot: _Slot, setting: Setting, now: Moment) -> str:
    phase, name = slot
    keeps = {
        "SiLU": "It keeps what it reads, besides its result, which the next layer keeps.",
        "ReLU": "It keeps its result alone, which the next layer keeps anyway.",
    }[setting.function]
    special = {
        ("forward", "loss"): f"The forward pass ends, and {now.held['activations'] / _total(now):.0%} are activations. "
        "Is this the peak? Guess, then step on.",
        ("forward", "function"): "Its layer keeps only what the layer reads." if setting.checkpoints else keeps,
        ("backward", "loss"): "The gradient of the result is new.",
        (
            "backward",
            "function",
        ): f"It reads its {'input' if setting.function == 'SiLU' else 'result'}, which can go then.",
        ("recomputed", "function"): "Its derivative needs its result, which was not kept.",
    }
    of_products = {
        "forward": f"What it reads is kept: the gradient of {name} will need it.",
        "backward": f"The gradient of {name} is new and stays; what the layer had kept can go then.",
        "recomputed": "Its result was not kept.",
        "optimizer": "Parameters, gradients and the optimizer's state stay, and the data.",
    }
    return special.get(slot, of_products[phase])
