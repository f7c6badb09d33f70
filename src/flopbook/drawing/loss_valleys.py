"""Draw how the loss depends on the parameters, for budgets of equal FLOPs: a valley for each."""

from collections.abc import Callable, Iterator, Mapping
from math import log10, sqrt

from flopbook import checks
from flopbook.checks import quoted
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, path, rect, words
from flopbook.predict.scaling import Law, Run
from flopbook.tables import Table
from flopbook.units import plain

__all__ = ["isoflop_valleys"]

_LEFT, _RIGHT, _TOP, _BOTTOM = 40.0, WIDTH - 8.0, 22.0, 214.0
_SIZES, _EXCESS = (1e7, 1e13), (0.07, 2.0)  # parameters, and loss above E, at the corners
_POINTS = 21
_UNITS = {10**12: "trillion", 10**9: "billion", 10**6: "million"}
_RULE = 20  # tokens for each parameter


def isoflop_valleys(
    laws: Mapping[str, Law], budgets: Mapping[str, float], served: Mapping[str, float], *, start: tuple[str, str]
) -> Picture:
    """Draw the loss of all models that a budget can train, and the best of them.

    Parameters
    ----------
    laws : mapping of str to Law
        By name.
    budgets : mapping of str to number
        FLOPs, upwards, by how a reader reads them.
    served : mapping of str to number
        Tokens of use, which the budget pays for, too, upwards from 0, by how a reader reads them.
    start : tuple of str
        The law and the budget at first.

    Raises
    ------
    TypeError, ValueError
        If what the picture starts with is not among them, or something else than laws is given.

    Examples
    --------
    >>> from flopbook.predict.scaling import LAWS
    >>> budgets = {"10²²": 1e22, "10²⁴": 1e24}
    >>> picture = isoflop_valleys(LAWS, budgets, {"none": 0, "10 trillion": 1e13}, start=("Besiroglu", "10²⁴"))
    >>> picture.frame(law="Hoffmann, rounded").sentence.partition(":")[2]
    ' the loss is least with 41.3 billion parameters and 4.04 trillion tokens, 97.7 for each ...'
    """
    for law in laws.values():
        if not isinstance(law, Law):
            raise TypeError(f"{quoted(law)} is not a law: write Law(E=..., A=..., B=..., a=..., b=...)")
    first = checks.one_of("law", start[0], laws), checks.one_of("budget", start[1], budgets)

    def draw(law: str, budget: str, use: str) -> Frame:
        by, flops, tokens = laws[law], budgets[budget], served[use]
        alone, best, rule = by.optimum(flops), by.optimum(flops, tokens), _by_rule(flops, tokens)
        return Frame(
            [
                *_axes(by),
                *(_valley(by, each, 0, "faint", []) for each in budgets.values()),
                _frontier(by, budgets),
                _valley(by, flops, tokens, "forward", [best, rule], stroke_width=2.5),
                *_points(by, rule, best),
            ],
            f"{law}, {budget} FLOPs: {_what(by, alone, best, rule, asks=(law, budget, tokens) == (*first, 0))}",
            Table(
                ["", "parameters", "tokens", "tokens for each", "loss", "use, of the FLOPs"],
                [_row(by, name, run) for name, run in {"best": best, f"{_RULE} for each": rule}.items()],
            ),
        )

    return Picture(
        "isoflop-valleys",
        "The loss of every model that a budget can train",
        _BOTTOM + 36,
        draw,
        [
            Choice("law", "Law", list(laws), first[0]),
            Slider("budget", "C, FLOPs of the budget", list(budgets), first[1]),
            Slider("use", "S, tokens served from it", list(served)),
        ],
    )


def _by_rule(flops: float, served: float) -> Run:
    """Spend a budget with 20 tokens for each parameter: 6·20·N² + 2·N·S FLOPs."""
    parameters = (sqrt(served**2 + 6 * _RULE * flops) - served) / (6 * _RULE)
    return Run(parameters, _RULE * parameters, served)


def _row(law: Law, name: str, run: Run) -> tuple[str, ...]:
    counts = map(plain, (run.parameters, run.tokens, run.tokens_per_parameter))
    return name, *counts, f"{law.loss(run.parameters, run.tokens):.3f}", f"{run.serving / run.total:.0%}"


def _what(law: Law, alone: Run, best: Run, rule: Run, asks: bool) -> str:
    said = f"the loss is least with {_amount(best.parameters)} parameters and {_amount(best.tokens)} tokens, "
    said += f"{plain(best.tokens_per_parameter)} for each parameter. "
    if asks:
        return f"{said}So says this law: what do the others say? Then serve tokens: where does the best size go?"
    if best.served:
        share = best.serving / best.total
        return (
            f"{said}Use takes {share:.0%} of the FLOPs. A smaller model is cheaper to use, so the best one has "
            f"{plain(100 * best.parameters / alone.parameters)}% of the parameters that are best without use."
        )
    higher = law.loss(rule.parameters, rule.tokens) - law.loss(best.parameters, best.tokens)
    return f"{said}With {_RULE} for each it is {plain(higher)} higher."


def _amount(number: float) -> str:
    """Write a large number as one says it.

    >>> _amount(1.328e12), _amount(72.2e9), _amount(9.9996e11)
    ('1.33 trillion', '72.2 billion', '1 trillion')
    """
    rounded = float(f"{number:.3g}")
    for unit, name in _UNITS.items():
        if rounded >= unit:
            return f"{plain(rounded / unit)} {name}"
    return plain(number)


def _x(parameters: float) -> int:
    return round(_LEFT + (_RIGHT - _LEFT) * _share(parameters, *_SIZES))


def _y(excess: float) -> int:
    return round(_BOTTOM - (_BOTTOM - _TOP) * _share(excess, *_EXCESS))


def _share(value: float, least: float, most: float) -> float:
    """Return how far along a logarithmic axis a value lies; what is beyond an end, at that end."""
    return log10(min(max(value, least), most) / least) / log10(most / least)


def _axes(law: Law) -> Iterator[str]:
    yield words(4, _TOP - 12, f"loss above E = {law.E:.3g}", "start")
    yield words(_RIGHT, _BOTTOM + 28, "N, parameters", "end")
    for excess in (0.1, 0.2, 0.5, 1, 2):
        yield line(_LEFT, _y(excess), _RIGHT, _y(excess), "faint", stroke_width=0.6)
        yield words(_LEFT - 5, _y(excess), f"{excess:g}", "end")
    for power in range(7, 14):
        yield line(_x(10.0**power), _TOP, _x(10.0**power), _BOTTOM, "faint", stroke_width=0.6)
        name = {7: "10 M", 8: "100 M", 9: "1 B", 10: "10 B", 11: "100 B", 12: "1 T", 13: "10 T"}[power]
        yield words(_x(10.0**power), _BOTTOM + 12, name, "end" if power == 13 else "")


def _valley(law: Law, flops: float, served: float, kind: str, through: list[Run], **more: float) -> str:
    """Draw the loss of models whose training and use take a budget, as far as it is in the picture; exact at some."""

    def excess(parameters: float) -> float:
        tokens = (flops - 2 * parameters * served) / (6 * parameters)
        return law.loss(parameters, tokens) - law.E if tokens > 0 else float("inf")

    steps = [_SIZES[0] * (_SIZES[1] / _SIZES[0]) ** (place / (_POINTS - 1)) for place in range(_POINTS)]
    steps = sorted([*steps, *(run.parameters for run in through)])
    if seen := [size for size in steps if excess(size) <= _EXCESS[1]]:
        seen = [_edge(excess, steps[0], seen[0]), *seen, _edge(excess, steps[-1], seen[-1])]
    points = [(_x(size), _y(excess(size))) for size in seen]
    points += points[-1:] * (len(steps) + 2 - len(points))  # as many in each state, so that one turns into the other
    return path(*points, kind=kind, closed=False, **more)


def _edge(excess: Callable[[float], float], outer: float, inner: float) -> float:
    """Search the size at which a valley leaves the picture at its top."""
    for _ in range(40):
        middle = sqrt(outer * inner)
        outer, inner = (outer, middle) if excess(middle) <= _EXCESS[1] else (middle, inner)
    return inner


def _frontier(law: Law, budgets: Mapping[str, float]) -> str:
    """Draw the line through the lowest points of all budgets."""
    return path(
        *(_place(law, law.optimum(flops)) for flops in budgets.values()), kind="", closed=False, stroke_dasharray="3 3"
    )


def _points(law: Law, rule: Run, best: Run) -> Iterator[str]:
    x, y = _place(law, rule)
    yield rect(x - 5, y - 5, 10, 10, "forward")
    yield words(x, y - 14, f"{_RULE} for each")
    x, y = _place(law, best)
    yield element("circle", cx=x, cy=y, r=6, kind="forward full")
    yield words(x, y + 16, f"best: {plain(best.tokens_per_parameter)} for each", "strong")


def _place(law: Law, run: Run) -> tuple[int, int]:
    return _x(run.parameters), _y(law.loss(run.parameters, run.tokens) - law.E)
