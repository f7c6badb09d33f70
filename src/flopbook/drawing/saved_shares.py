"""Draw what ways to fine-tune the same layers take, in FLOPs and in bytes, beside training everything."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from sympy import Expr

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.models.adapters import FineTuning
from flopbook.predict.steps import TrainingStep, flops
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Table, Total
from flopbook.units import si

__all__ = ["fine_tuning"]

_WORK = {
    "forward": "forward", "input gradients": "backward", "weight gradients": "backward full", "adapters": "",
}  # fmt: skip
_BYTES = {"parameters": "bytes full", "gradients": "backward full", "optimizer": "optimizer", "activations": "forward"}
_ALL = 320.0  # units for what training everything takes


@dataclass(frozen=True)
class _Part:
    """Holds the amounts of one way in one unit, by kind."""

    held: Mapping[str, int]

    @property
    def total(self) -> int:
        return sum(self.held.values())


def fine_tuning(
    ways: Mapping[str, FineTuning], sizes: Mapping[str, int], values: Mapping[str, Sequence[int]]
) -> Picture:
    """Draw the FLOPs and the bytes of a step as two bars, in a frame as long as those of training everything.

    Parameters
    ----------
    ways : mapping of str to FineTuning
        Each way by its name, as `fine_tunings` gives them, with the same products forward. The first trains
        everything; what a way has besides is its adapters'.
    sizes : mapping of str to int
        The size of each letter, and where the sliders start.
    values : mapping of str to sequence of int
        Letters whose size the reader sets, such as ``{"R, the rank": [1, 4, 16]}``; the letter comes first.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two ways, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> from flopbook.predict.models import fine_tunings
    >>> ways = fine_tunings(matmul("x[B,D] @ w[D,K] -> y[B,K]"))
    >>> picture = fine_tuning(ways, dict(B=8, D=64, K=32, R=2), {"R": [1, 2, 4]})
    >>> print(picture.frame(way="LoRA", R=1).sentence)
    LoRA: 28.6% of the FLOPs go, and 66.1% of the bytes. Of the FLOPs, the gradients of the weights go; of the bytes, \
what training keeps for each weight.
    """
    known = checks.sizes(sizes)
    everything, (reference, _) = next(iter(ways.items()))
    letters = {label: label.partition(",")[0] for label in values}
    work = {name: _kinds(way.step, reference) for name, way in ways.items()}

    @cache
    def amounts(name: str, given: tuple[int, ...]) -> tuple[_Part, _Part]:
        at = {**known, **dict(zip(letters.values(), given, strict=True))}
        of_bytes = {kind: getattr(ways[name].memory, kind) for kind in _BYTES}
        by_kind: tuple[dict[str, Expr], ...] = (work[name], of_bytes)
        run, held = ({kind: int(evaluate(value, at)) for kind, value in kinds.items()} for kinds in by_kind)
        return _Part(run), _Part(held)

    def draw(way: str, **set_to: int) -> Frame:
        given = tuple(set_to[letter] for letter in letters.values())
        mine, all_of_it = amounts(way, given), amounts(everything, given)
        shapes: list[str] = []
        rows: list[tuple[Cell, ...]] = []
        for number, (part, every, looks, unit) in enumerate(
            zip(mine, all_of_it, (_WORK, _BYTES), ("FLOPs", "bytes"), strict=True)
        ):
            shapes += _bar(100.0 * number, unit, part, every, looks)
            rows += [(unit, kind, amount) for kind, amount in part.held.items()]
            rows.append(Total((unit, "all", part.total)))
        return Frame(shapes, said(way, mine, all_of_it), Table(["of", "for", "a step"], rows, labels=2))

    def said(way: str, mine: tuple[_Part, _Part], every: tuple[_Part, _Part]) -> str:
        if way == everything:
            return (
                f"{everything.capitalize()} is trained: {si(every[0].total, 'FLOPs')} a step, and "
                f"{si(every[1].total, 'B')} held. Which share of each will go with LoRA? Guess, then choose it."
            )
        run, held = (1 - part.total / whole.total for part, whole in zip(mine, every, strict=True))
        work = f"{run:.1%} of the FLOPs go" if run >= 0 else f"{-run:.1%} more FLOPs than training everything"
        return f"{way[0].upper()}{way[1:]}: {work}, and {held:.1%} of the bytes. {_why(mine, every)}"

    return Picture(
        "fine-tuning",
        "What fine-tuning saves",
        198,
        draw,
        [
            Choice("way", "Trained", list(ways)),
            *(Slider(letters[label], label, sizes_, start=known[letters[label]]) for label, sizes_ in values.items()),
        ],
    )


def _kinds(step: TrainingStep, reference: TrainingStep) -> dict[str, Expr]:
    """Add up the FLOPs of a way by kind; what training everything has not is the adapters'."""
    weights = {f"{tensor.name}.grad" for product in reference.forward for tensor in [product.right]}
    kinds: dict[str, list] = {kind: [] for kind in _WORK}
    for product in (*step.forward, *step.backward):
        if product in reference.forward:
            kinds["forward"].append(product)
        elif product in reference.backward:
            of_weight = product.output.name in weights
            kinds["weight gradients" if of_weight else "input gradients"].append(product)
        else:
            kinds["adapters"].append(product)
    return {kind: flops(products) for kind, products in kinds.items()}


def _bar(top: float, unit: str, part: _Part, every: _Part, looks: Mapping[str, str]) -> Iterator[str]:
    """Draw the amounts side by side, in the frame of training everything, and name them."""
    scale = _ALL / every.total
    yield words(0, top + 9, f"{unit[0].upper()}{unit[1:]} of a step", "start strong")
    yield rect(0, top + 22, _ALL, 28, "left-out")
    x = 0.0
    for kind, amount in part.held.items():
        wide = amount * scale
        yield rect(x, top + 24, wide, 24, looks[kind], **_fill(looks[kind])) if amount else "<g/>"
        x += wide
    yield line(x, top + 19, x, top + 53, stroke_width=2)
    yield words(WIDTH - 4, top + 9, f"{part.total / every.total:.1%} of training everything", "end")
    for number, (kind, amount) in enumerate(part.held.items()):
        column, row = divmod(number, 2)
        left, y = 222.0 * column, top + 66 + 17 * row
        yield rect(left, y - 5, 10, 10, looks[kind], **_fill(looks[kind]))
        yield words(left + 15, y, kind, "start")
        yield words(left + 214, y, si(amount, "B" if unit == "bytes" else "FLOPs"), "end")


def _fill(look: str) -> dict[str, str]:
    return {} if look else {"fill": "currentColor"}


def _why(mine: tuple[_Part, _Part], every: tuple[_Part, _Part]) -> str:
    """Say what is gone, and what is not."""
    (run, held), (all_run, _) = mine, every
    if run.held["input gradients"] < all_run.held["input gradients"]:
        return "Nothing in front is trained, so that hardly a gradient has to pass."
    if run.total > all_run.total:
        return "The adapters take more than the gradients of the weights took."
    if 2 * held.held["activations"] > held.total:
        return "Most bytes are activations now, and those stay: turn the tokens down."
    if 2 * run.held["adapters"] > all_run.held["weight gradients"]:
        return "Wide adapters take what the gradients of the weights took: turn the rank down."
    return "Of the FLOPs, the gradients of the weights go; of the bytes, what training keeps for each weight."
