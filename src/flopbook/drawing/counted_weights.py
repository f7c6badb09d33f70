"""Draw the parameters of a model as squares, and which of them a published formula counts."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from math import floor, log10

from sympy import Expr, Integer

from flopbook import checks
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, path, rect, words
from flopbook.predict.axes import D, E, F, G, H, L, T, V
from flopbook.predict.models import matrices, tables
from flopbook.predict.values import evaluate
from flopbook.tables import Table

_MATRICES, _OUTPUT, _LOOKUP = "matrices of the blocks", "table of the output layer", "table that is only looked up"
_POSITIONS, _BIASES, _NORMS = "positions", "biases", "norms"
_KINDS = _MATRICES, _OUTPUT, _LOOKUP, _POSITIONS, _BIASES, _NORMS
_IN_BLOCKS = L * (2 * D * E * (H + G) + matrices * D * F)
#: Parameters by kind. Where the feed-forward block has no gate, the model is a GPT: with biases, a table of positions,
#: and norms that have a bias too.
_PARAMETERS = {
    _MATRICES: _IN_BLOCKS, _OUTPUT: D * V, _LOOKUP: (tables - 1) * D * V, _POSITIONS: (3 - matrices) * T * D,
    _BIASES: (3 - matrices) * L * (H * E + 2 * G * E + F + 2 * D), _NORMS: (4 - matrices) * (2 * L + 1) * D,
}  # fmt: skip
_ATTENTION = 12 * L * H * E * T


@dataclass(frozen=True)
class _Formula:
    """Says what a published formula takes 6 times, and what it adds for a token."""

    kinds: tuple[str, ...]
    adds: Expr
    words: str


#: Formulas for a token as their sources give them, in the letters of this book.
_FORMULAS = {
    "6 N": _Formula(_KINDS, Integer(0), "all parameters, no attention"),
    "6 N + attention (Chowdhery)": _Formula(_KINDS, _ATTENTION, "all parameters, and all of attention"),
    "Kaplan, table 1": _Formula((_MATRICES,), _ATTENTION / 2, "the blocks' matrices, and half of attention"),
    "Narayanan, equation 3": _Formula(
        (_MATRICES, _OUTPUT), 2 * _IN_BLOCKS + _ATTENTION * 4 / 3, "what is multiplied, and a second forward pass"
    ),
    "Hoffmann, appendix F": _Formula(
        (_MATRICES, _OUTPUT), 6 * D * V + _ATTENTION + 9 * L * H * T, "a lookup as a product, and the softmax"
    ),
    "Megatron-LM, its code": _Formula((_MATRICES, _OUTPUT), _ATTENTION / 2, "what is multiplied, half of attention"),
}

_QUESTIONS = {
    "6 N": " What did it forget?",
    "6 N + attention (Chowdhery)": " What is in N that no product multiplies?",
}

_ROWS, _COLUMNS, _CELL, _TOP = 25, 50, 8.6, 24.0
_AXIS, _REACH = _TOP + _ROWS * _CELL + 72, 40  # where the error is drawn, and percent to each side


def what_n_counts(models: Mapping[str, Mapping[str, int]], start: str = "") -> Picture:
    """Draw the parameters of each model as squares, those that a formula counts filled, and the formula's error.

    Parameters
    ----------
    models : mapping of str to mapping
        The sizes of each model by its name, such as `flopbook.predict.models.PUBLISHED`.
    start : str
        The model that is shown first; without it, the first one.

    Raises
    ------
    TypeError, ValueError
        If there are fewer than two models, or a size is missing.

    Notes
    -----
    The error is against 6 FLOPs for each weight that is an operand of a product, and dense attention. Kaplan and
    others, *Scaling Laws for Neural Language Models* (2020); Narayanan and others, *Efficient Large-Scale Language
    Model Training on GPU Clusters* (2021); Chowdhery and others, *PaLM* (2022); Hoffmann and others, *Training
    Compute-Optimal Large Language Models* (2022).

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> print(what_n_counts(PUBLISHED).frame(model="Llama 3 8B", formula="6 N + attention (Chowdhery)").sentence)
    6 N + attention (Chowdhery) counts all parameters, and all of attention. For a token of Llama 3 8B it is 5.4% too \
high. What is in N that no product multiplies?
    """
    known = {name: checks.sizes(sizes) for name, sizes in models.items()}
    first = start or next(iter(known))

    @cache
    def parameters(model: str) -> dict[str, int]:
        return {kind: int(evaluate(number, known[model])) for kind, number in _PARAMETERS.items()}

    def draw(model: str, formula: str) -> Frame:
        chosen, sizes, numbers = _FORMULAS[formula], known[model], parameters(model)
        needed = 6 * (numbers[_MATRICES] + numbers[_OUTPUT]) + int(evaluate(_ATTENTION, sizes))
        claimed = 6 * sum(numbers[kind] for kind in chosen.kinds) + int(evaluate(chosen.adds, sizes))
        error = 100 * (claimed / needed - 1)
        return Frame(
            [*_waffle(numbers, chosen.kinds), *_axis(error)],
            f"{formula} counts {chosen.words}. For a token of {model} it is {abs(error):.1f}% too "
            f"{'high' if error > 0 else 'low'}." + _QUESTIONS.get(formula, ""),
            Table(
                ["", "parameters", "counted 6 times"],
                [(kind, number, "yes" if kind in chosen.kinds else "no") for kind, number in numbers.items()],
            ),
        )

    return Picture(
        "what-n-counts",
        "What a formula counts of a model's parameters",
        _AXIS + 34,
        draw,
        [Choice("model", "Model", list(known), start=first), Choice("formula", "Formula", list(_FORMULAS))],
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
    for kind in _KINDS:
        end = begin + numbers[kind] / square
        look = "forward" if kind in counted else "left-out"
        yield path(*_area(begin, end), kind=look) if end > begin else element("g")
        begin = end
    across = [f"M0 {_TOP + row * _CELL:.1f}H{_COLUMNS * _CELL:.0f}" for row in range(1, _ROWS)]
    down = [f"M{column * _CELL:.1f} {_TOP}V{_TOP + _ROWS * _CELL:.0f}" for column in range(1, _COLUMNS)]
    yield element("path", d="".join(across + down), kind="faint line", stroke="var(--color-background-primary,#fff)")
    yield from _names([numbers[kind] / square / _ROWS for kind in _KINDS[:3]])


def _names(columns: list[float]) -> Iterator[str]:
    """Name the areas that are wide enough, and the narrow tables together."""
    wide = [kind for kind, width in zip(_KINDS, columns, strict=False) if width > 13]
    for number, kind in enumerate(_KINDS[:3]):
        x = (sum(columns[:number]) + columns[number] / 2) * _CELL
        yield words(x, _TOP + _ROWS * _CELL + 12, kind) if kind in wide else element("g")
    narrow = len([width for width in columns[1:] if 1 < width <= 13])
    x = (columns[0] + sum(columns[1:]) / 2) * _CELL
    yield words(x, _TOP + _ROWS * _CELL + 12, "two tables" if narrow > 1 else "table") if narrow else element("g")


def _area(begin: float, end: float) -> list[tuple[float, float]]:
    """Return the corners of what lies between two squares, where squares are counted down each column."""
    (first, top), (last, bottom) = divmod(begin, _ROWS), divmod(end, _ROWS)
    if first == last:
        corners = [(first, top), (first, bottom), (first + 1, bottom), (first + 1, top)]
    else:
        corners = [(first, top), (first, _ROWS), (last, _ROWS), (last, bottom), (last + 1, bottom), (last + 1, 0)]
        corners += [(first + 1, 0), (first + 1, top)]
    return [(x * _CELL, _TOP + y * _CELL) for x, y in corners]


def _axis(error: float) -> Iterator[str]:
    """Draw the error on an axis around what the products take."""
    yield words(
        WIDTH / 2, _AXIS - 32, f"{error:+.1f}% of the FLOPs of the products".replace("-", "\N{MINUS SIGN}"), "strong"
    )
    yield line(0, _AXIS, WIDTH, _AXIS)
    for percent in range(-_REACH, _REACH + 1, 20):
        x = WIDTH / 2 * (1 + 0.9 * percent / _REACH)
        yield line(x, _AXIS - 5, x, _AXIS + 5)
        yield words(x, _AXIS + 18, f"{percent:+}%".replace("-", "\N{MINUS SIGN}") if percent else "right")
    width = WIDTH / 2 * 0.9 * min(abs(error), _REACH) / _REACH
    yield rect(WIDTH / 2 - (width if error < 0 else 0), _AXIS - 14, width, 12, "forward full")
