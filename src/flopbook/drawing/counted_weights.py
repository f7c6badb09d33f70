"""Draw the parameters of a model as squares, and which of them a published formula counts."""

from collections.abc import Iterator, Mapping
from functools import cache
from math import floor, log10

from flopbook.checks import quoted
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, path, rect, words
from flopbook.predict.models import CLAIMS, KINDS, Inventory
from flopbook.tables import Table

_QUESTIONS = {
    "6 N": " What did it forget?",
    "Chowdhery": " What is in N that no product multiplies?",
}

_ROWS, _COLUMNS, _CELL, _TOP = 25, 50, 8.6, 24.0
_WIDE, _TABLES = (
    13,
    {2: "table", 4: "two tables"},
)  # columns that hold a name, half as many its first word; the name of narrow tables
_AXIS, _REACH = _TOP + _ROWS * _CELL + 72, 40  # where the error is drawn, and percent to each side


def what_n_counts(models: Mapping[str, Inventory], start: str = "") -> Picture:
    """Draw the parameters of each model as squares, those that a formula counts filled, and the formula's error.

    Parameters
    ----------
    models : mapping of str to Inventory
        What each model has, at its sizes, by its name, such as `flopbook.predict.models.INVENTORIES`.
    start : str
        The model that is shown first; without it, the first one.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two models, or one is not an inventory.

    Notes
    -----
    The formulas are `flopbook.predict.models.CLAIMS`, where their sources stand. The error is against the products of
    a step, with attention dense, or with the pairs alone that the model's mask leaves.

    Examples
    --------
    >>> from flopbook.predict.models import INVENTORIES
    >>> print(what_n_counts(INVENTORIES).frame(model="Llama 3 8B", formula="Chowdhery").sentence)
    Chowdhery counts all parameters, and all of attention. For a token of Llama 3 8B it is 5.4% too high, with \
attention dense. What is in N that no product multiplies?
    """
    for name, model in models.items():
        if not isinstance(model, Inventory):
            raise TypeError(f"{name}: {quoted(model)} is not an inventory: write inventory(gated=True).at(L=32, ...)")
    first = start or next(iter(models))

    @cache
    def parameters(model: str) -> dict[str, int]:
        return {kind: int(models[model].count(kind)) for kind in KINDS}

    @cache
    def products(model: str, attention: str) -> int:
        return int(models[model].dense if attention == "dense" else models[model].needed)

    def draw(model: str, formula: str, attention: str) -> Frame:
        claim, numbers = CLAIMS[formula], parameters(model)
        error = 100 * (float(claim.flops(models[model]) / products(model, attention)) - 1)
        verdict = f"{abs(error):.1f}% too {'high' if error > 0 else 'low'}" if error else "exact"
        return Frame(
            [*_waffle(numbers, claim.kinds), *_axis(error, attention)],
            f"{formula} counts {claim.words}. For a token of {model} it is {verdict}, with attention {attention}."
            + _QUESTIONS.get(formula, ""),
            Table(
                ["", "parameters", "counted 6 times"],
                [(kind, number, "yes" if kind in claim.kinds else "no") for kind, number in numbers.items()],
            ),
        )

    return Picture(
        "what-n-counts",
        "What a formula counts of a model's parameters",
        _AXIS + 34,
        draw,
        [
            Choice("model", "Model", list(models), start=first),
            Choice("formula", "Formula", list(CLAIMS)),
            Choice("attention", "Attention", ["dense", "needed"]),
        ],
    )


def _square(total: int) -> int:
    """Return how many parameters a square stands for: 1, 2 or 5 with zeros.

    >>> _square(124_439_808), _square(8_030_261_248)
    (100000, 10000000)
    """
    least = total / (_ROWS * _COLUMNS)
    power = 10 ** floor(log10(least))
    return next(int(times * power) for times in (1, 2, 5, 10) if times * power >= least)


def _waffle(numbers: Mapping[str, int], counted: tuple[str, ...]) -> Iterator[str]:
    """Draw a square for so many parameters each, column by column, and name the large areas."""
    square = _square(sum(numbers.values()))
    yield words(0, 10, f"{sum(numbers.values()):,} parameters, {square:,} in a square", "start")
    begin = 0.0
    for kind in KINDS:
        end = begin + numbers[kind] / square
        look = "forward" if kind in counted else "left-out"
        yield path(*_area(begin, end), kind=look) if end > begin else element("g")
        begin = end
    across = [f"M0 {_TOP + row * _CELL:.1f}H{_COLUMNS * _CELL:.0f}" for row in range(1, _ROWS)]
    down = [f"M{column * _CELL:.1f} {_TOP}V{_TOP + _ROWS * _CELL:.0f}" for column in range(1, _COLUMNS)]
    yield element("path", d="".join(across + down), kind="faint line", stroke="var(--color-background-primary,#fff)")
    yield from _names({kind: number / square / _ROWS for kind, number in numbers.items()})


def _names(columns: Mapping[str, float]) -> Iterator[str]:
    """Name the areas that are wide enough, and the narrow tables together."""
    begin, narrow = 0.0, []
    for kind, width in columns.items():
        name = kind if width > _WIDE else kind.split()[0]
        shown = width > _WIDE / 2
        yield words((begin + width / 2) * _CELL, _TOP + _ROWS * _CELL + 12, name) if shown else element("g")
        begin += width
        narrow += [begin - width, begin] if "table" in kind and 1 < width <= _WIDE / 2 else []
    said = (
        words((min(narrow) + max(narrow)) / 2 * _CELL, _TOP + _ROWS * _CELL + 12, _TABLES[len(narrow)])
        if narrow
        else ""
    )
    yield said or element("g")


def _area(begin: float, end: float) -> list[tuple[float, float]]:
    """Return the corners of what lies between two squares, where squares are counted down each column."""
    (first, top), (last, bottom) = divmod(begin, _ROWS), divmod(end, _ROWS)
    if first == last:
        corners = [(first, top), (first, bottom), (first + 1, bottom), (first + 1, top)]
    else:
        corners = [(first, top), (first, _ROWS), (last, _ROWS), (last, bottom), (last + 1, bottom), (last + 1, 0)]
        corners += [(first + 1, 0), (first + 1, top)]
    return [(x * _CELL, _TOP + y * _CELL) for x, y in corners]


def _axis(error: float, attention: str) -> Iterator[str]:
    """Draw the error on an axis around what the products take; a bar that leaves the axis ends in an arrow."""
    percent = f"{error:+.1f}%".replace("-", "\N{MINUS SIGN}") if error else "exact:"
    yield words(WIDTH / 2, _AXIS - 32, f"{percent} of the products, attention {attention}", "strong")
    yield line(0, _AXIS, WIDTH, _AXIS)
    for step in range(-_REACH, _REACH + 1, 20):
        x = WIDTH / 2 * (1 + 0.9 * step / _REACH)
        yield line(x, _AXIS - 5, x, _AXIS + 5)
        yield words(x, _AXIS + 18, f"{step:+}%".replace("-", "\N{MINUS SIGN}") if step else "right")
    width = WIDTH / 2 * 0.9 * min(abs(error), _REACH) / _REACH
    yield rect(WIDTH / 2 - (width if error < 0 else 0), _AXIS - 14, width, 12, "forward full")
    beyond = "\N{RIGHTWARDS ARROW}" if error > _REACH else "\N{LEFTWARDS ARROW}" if error < -_REACH else ""
    yield words(WIDTH / 2 * (1.95 if error > 0 else 0.05), _AXIS - 8, beyond, "strong") if beyond else element("g")
