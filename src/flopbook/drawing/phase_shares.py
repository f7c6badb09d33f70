"""Draw the phases of a step after pretraining as two bars: shares of its FLOPs, and of the least time they take."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise
from typing import NamedTuple

from sympy import Expr

from flopbook import checks
from flopbook.devices import DEVICES
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.post_training import Phase, PostTraining
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Table, Total
from flopbook.units import si

__all__ = ["phases_of_a_step"]

_FORMAT, _BYTES = "bf16", 2
#: What each kind of work is, and how it looks.
_WORKS = {
    "prefill": ("read the prompts", "forward full"),
    "decode": ("write the responses", "bytes full"),
    "score": ("score prompts and responses", "forward"),
    "train": ("train on them", "backward"),
}


class _Amounts(NamedTuple):
    """Holds what a phase takes in one state, on one device."""

    flops: int
    computing: float
    moving: float

    @property
    def seconds(self) -> float:
        return max(self.computing, self.moving)


def phases_of_a_step(
    steps: Mapping[str, PostTraining],
    sizes: Mapping[str, int],
    values: Mapping[str, Sequence[int]],
    device: str = "H100 SXM",
    devices: int = 1,
) -> Picture:
    """Draw which share of a step's FLOPs each kind of work takes, and which share of its least time.

    The time is what the devices' peak in bf16 or their bandwidth allow, whichever takes longer in a phase, if they
    share all work evenly.

    Parameters
    ----------
    steps : mapping of str to PostTraining
        Each method by its name, in letters.
    sizes : mapping of str to int
        The size of each letter, and where the sliders start.
    values : mapping of str to sequence of int
        Letters whose size the reader sets, such as ``{"K, responses to a prompt": [4, 16]}``; the letter comes first.
    device : str
        One of `flopbook.devices.DEVICES`.
    devices : int
        How many there are.

    Raises
    ------
    TypeError, ValueError
        If there are no steps, a size is missing, or the device is not known; names it.

    Examples
    --------
    >>> from flopbook.predict.post_training import Rollouts, grpo, rule_of_six, supervised
    >>> model = rule_of_six(10**9)
    >>> steps = {"SFT": supervised(model), "GRPO": grpo(model, model, rollouts=Rollouts(samples=4))}
    >>> picture = phases_of_a_step(steps, dict(B=8, P=100, R=412), {"R, tokens of a response": [412, 924]})
    >>> print(picture.frame(method="GRPO", R=924).sentence)
    GRPO: to write the responses takes 15.0% of the FLOPs, and 62.0% of the least time. Each pass reads weights, keys \
and values for one more token of some responses, and waits for the memory.
    """
    known = checks.sizes(sizes)
    checks.one_of("device", device, DEVICES)
    number = checks.size("devices", devices)
    if not steps or not all(isinstance(step, PostTraining) for step in steps.values()):
        raise TypeError(
            f"steps={checks.quoted(steps)} are not steps by name: write {{'SFT': supervised(rule_of_six())}}"
        )
    letters = {label: label.partition(",")[0] for label in values}
    peak = number * DEVICES[device].peak_flop_per_s[_FORMAT]
    bandwidth = number * DEVICES[device].bytes_per_s

    @cache
    def value(amount: Expr, given: tuple[tuple[str, int], ...]) -> int:
        return int(evaluate(amount, dict(given)))

    def at(amount: Expr, state: Mapping[str, int]) -> int:
        needed = {letter.name for letter in amount.free_symbols}
        return value(amount, tuple((name, size) for name, size in state.items() if name in needed))

    def amounts(phase: Phase, state: Mapping[str, int]) -> _Amounts:
        flops = at(phase.flops, state)
        return _Amounts(flops, flops / peak, _BYTES * at(phase.numbers, state) / bandwidth)

    def draw(method: str, **set_to: int) -> Frame:
        state = known | set_to
        found = [(phase, amounts(phase, state)) for phase in steps[method].phases]
        where = f"{number} × {device}" if number > 1 else device
        return Frame([*_bars(found, where)], _said(method, found), _table(found))

    return Picture(
        "phases-of-a-step",
        "Where a step after pretraining spends its FLOPs and its time",
        222,
        draw,
        [
            Choice("method", "Method", list(steps)),
            *(Slider(letters[label], label, given, start=known[letters[label]]) for label, given in values.items()),
        ],
    )


def _of_work(found: list[tuple[Phase, _Amounts]], work: str) -> list[_Amounts]:
    return [amounts for phase, amounts in found if phase.work == work]


def _bars(found: list[tuple[Phase, _Amounts]], where: str) -> Iterator[str]:
    flops = [sum(each.flops for each in _of_work(found, work)) for work in _WORKS]
    seconds = [sum(each.seconds for each in _of_work(found, work)) for work in _WORKS]
    shares = [[part / sum(parts) for part in parts] for parts in (flops, seconds)]
    heads = (
        ("FLOPs of a step", si(sum(flops), "FLOPs")),
        (f"Least time on {where}", si(sum(seconds), "s")),
    )
    for number, ((head, total), parts) in enumerate(zip(heads, shares, strict=True)):
        top = 58.0 * number
        yield words(0, top + 9, head, "start strong")
        yield words(WIDTH, top + 9, total, "end strong")
        for (left, right), (_, look) in zip(pairwise(accumulate(parts, initial=0.0)), _WORKS.values(), strict=True):
            yield rect(f"{left:.1%}", top + 20, f"{right - left:.1%}", 24, look)
    yield words(0, 128, "Work", "start")
    yield words(340, 128, "FLOPs", "end")
    yield words(WIDTH, 128, "time", "end")
    for number, (what, look) in enumerate(_WORKS.values()):
        y = 149.0 + 19 * number
        yield rect(0, y - 5, 10, 10, look)
        yield words(16, y, what, "start")
        yield words(340, y, f"{shares[0][number]:.1%}", "end")
        yield words(WIDTH, y, f"{shares[1][number]:.1%}", "end")


def _said(method: str, found: list[tuple[Phase, _Amounts]]) -> str:
    writing = _of_work(found, "decode")
    if not writing:
        who = "one model is trained, another scores" if _of_work(found, "score") else "one model is trained"
        return (
            f"{method}: the responses are given, {who}, and computing is all that takes time. If responses have to be "
            "written, which share of the FLOPs will that take, and which share of the time? Guess, then choose GRPO."
        )
    flops, seconds = (sum(getattr(each, kind) for _, each in found) for kind in ("flops", "seconds"))
    decode = writing[0]
    said = (
        f"{method}: to write the responses takes {decode.flops / flops:.1%} of the FLOPs, and "
        f"{decode.seconds / seconds:.1%} of the least time."
    )
    if decode.moving > decode.computing:
        why = "Each pass reads weights, keys and values for one more token of some responses, and waits for the memory."
        return f"{said} {why}"
    return f"{said} So many responses are written at once that computing takes longer than reading."


def _table(found: list[tuple[Phase, _Amounts]]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for work, (what, _) in _WORKS.items():
        of_work = _of_work(found, work)
        rows.append((what, sum(each.flops for each in of_work), si(sum(each.seconds for each in of_work), "s")))
    rows.append(Total(("all", sum(each.flops for _, each in found), si(sum(each.seconds for _, each in found), "s"))))
    return Table(["work", "FLOPs", "least time"], rows)
