"""Draw a product of matrices cut into quarters: seven products, and which pairs of quarters they bring."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import sympy
from sympy import Matrix

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider, Steps
from flopbook.drawing.matrices import entry
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.fast_products import SCHEMES, Work, fast_product, ordinary_product
from flopbook.tables import Table

__all__ = ["seven_products"]

_PLACES = ((0, 0), (0, 1), (1, 0), (1, 1))
_QUARTER, _CELL, _GRID = 34.0, 21.0, 124.0
_BARS, _LONGEST = 228.0, 300.0


@dataclass(frozen=True)
class _Pairs:
    """Holds what each product multiplies, and with which sign it enters each quarter of the result."""

    factors: Sequence[tuple[Sequence[int], Sequence[int]]]
    enters: Sequence[Sequence[int]]

    def so_far(self, quarter: int, step: int, row: int, column: int) -> int:
        """Return how often a pair of quarters is in a quarter of the result, after some products."""
        signs = self.enters[quarter]
        return sum(signs[place] * left[row] * right[column] for place, (left, right) in enumerate(self.factors[:step]))


def seven_products(sizes: Sequence[int], levels: Sequence[int] = (1, 2, 3)) -> Picture:
    """Draw a product by schemes of seven products of quarters, one product at a time.

    Four small squares, one for each quarter of the result, show the pairs of quarters that it has so far. Two bars
    compare all operations with those of a product entry by entry, each operation counted once.

    Parameters
    ----------
    sizes : sequence of int
        Sides of square matrices to choose from, upwards.
    levels : sequence of int
        How often they may be cut; every size can be halved as often as the most.

    Raises
    ------
    TypeError, ValueError
        If one is not a size, or cannot be halved so often.

    Examples
    --------
    >>> picture = seven_products([8, 16, 64])
    >>> print(picture.frame(step=7, n=16, levels=1).sentence)
    What was too much has cancelled: 18 sums save a product. For 16 × 16 numbers and 1 level, all seven with their \
sums take 7,872 operations, 0.992 times those of entry by entry.
    """
    sizes, levels = checks.several("sizes", sizes, "[8, 16]"), checks.several("levels", levels, "[1, 2]")
    for size in sizes:
        fast_product(size, size, size, levels=max(checks.size("levels", level) for level in levels))

    @cache
    def work(scheme: str, n: int, level: int) -> Work:
        return fast_product(n, n, n, scheme, level)

    def draw(scheme: str, step: int, n: int, levels: int) -> Frame:  # the address calls them so
        pairs, fast, ordinary = _pairs(scheme), work(scheme, n, levels), ordinary_product(n, n, n)
        return Frame(
            [*_factors(pairs, step), *_grids(pairs, step), *_bars(fast, ordinary)],
            f"{_what(scheme, pairs, step)} For {n} × {n} numbers and {levels} level{'s' * (levels > 1)}, "
            f"all seven with their sums take {int(fast.exact):,} operations, "
            f"{float(fast.exact / ordinary.exact):.3f} times those of entry by entry.",
            Table(
                ["", "multiplications", "additions", "operations"],
                [
                    (f"{scheme}'s seven products", *_row(fast)),
                    ("entry by entry", *_row(ordinary)),
                ],
            ),
        )

    return Picture(
        "seven-products",
        "Seven products of quarters in place of eight",
        _BARS + 54,
        draw,
        [
            Choice("scheme", "Scheme", list(SCHEMES)),
            Steps("step", "Product", range(8), start=1),
            Slider("n", "n, side of the matrices", list(sizes)),
            Slider("levels", "Levels", list(levels)),
        ],
    )


def _row(work: Work) -> tuple[int, int, int]:
    return int(work.multiplications), int(work.additions + work.around), int(work.exact)


@cache
def _pairs(scheme: str) -> _Pairs:
    """Run a scheme on quarters of which each is a direction of its own."""
    factors: list[tuple[list[int], list[int]]] = []

    def multiply(left: Matrix, right: Matrix) -> Matrix:
        factors.append(([*map(int, left)], [*map(int, right)]))
        return sympy.Matrix([int(place == len(factors) - 1) for place in range(7)])

    quarters = [sympy.Matrix([int(place == own) for place in range(4)]) for own in range(4)]
    made = SCHEMES[scheme].run(quarters, quarters, multiply)
    return _Pairs(factors, [[*map(int, made[entry_of])] for entry_of in ("c11", "c12", "c21", "c22")])


def _signed(factor: int) -> str:
    """Write a factor as a sign, with a number only if there are several."""
    return ("+" if factor > 0 else "−") + f"{abs(factor)}" * (abs(factor) > 1) if factor else ""


def _form(name: str, factors: Sequence[int]) -> str:
    terms = [(factor, entry(name, *_PLACES[place])) for place, factor in enumerate(factors) if factor]
    terms.sort(key=lambda term: term[0] < 0)
    written = " ".join(f"{_signed(factor)} {quarter}" for factor, quarter in terms).removeprefix("+ ")
    return f"({written})" if len(terms) > 1 else written


def _what(scheme: str, pairs: _Pairs, step: int) -> str:
    """Say what a product brings, and what is still too much."""
    if not step:
        return "Each quarter of c needs two pairs, outlined: eight products. How can seven do?"
    if step == 7:
        return f"What was too much has cancelled: {sum(SCHEMES[scheme].sums)} sums save a product."
    left, right = pairs.factors[step - 1]
    into = [
        f"{entry('c', *place)} with {_signed(signs[step - 1])}"
        for place, signs in zip(_PLACES, pairs.enters, strict=True)
        if signs[step - 1]
    ]
    many = sum(map(abs, left)) * sum(map(abs, right))
    product = f"p{'₀₁₂₃₄₅₆₇'[step]} = {_form('a', left)} · {_form('b', right)}"
    brings = f"{product} brings {many} {'pair' if many == 1 else 'pairs'} into {' and '.join(into)}."
    cells = itertools.product(range(4), range(4), range(4))
    if any(pairs.so_far(quarter, step, *cell) and not _wanted(quarter, *cell) for quarter, *cell in cells):
        return f"{brings} Dashed ones are not wanted there: which product takes them away?"
    return brings


def _wanted(quarter: int, left: int, right: int) -> bool:
    """Tell whether a pair belongs into a quarter of the result: its row, its column, and one letter in between."""
    (row, column), (of_row, met), (meets, of_column) = (_PLACES[place] for place in (quarter, left, right))
    return (row, column, met) == (of_row, of_column, meets)


def _factors(pairs: _Pairs, step: int) -> Iterator[str]:
    """Draw which quarters the two factors of a product add up, and which quarters of the result it enters."""
    left, right = pairs.factors[step - 1] if step else ((0,) * 4,) * 2
    enters = [pairs.enters[quarter][step - 1] if step else 0 for quarter in range(4)]
    for number, (name, factors, sign) in enumerate((("a", left, "·"), ("b", right, "into"), ("c", enters, ""))):
        x = 44 + 140 * number
        for place, (row, column) in enumerate(_PLACES):
            at = x + column * _QUARTER, 2 + row * _QUARTER
            yield rect(*at, _QUARTER - 2, _QUARTER - 2, "forward" if factors[place] else "faint")
            text = f"{_signed(factors[place])}{entry(name, row, column)}"
            yield words(at[0] + _QUARTER / 2 - 1, at[1] + _QUARTER / 2 - 1, text)
        yield words(x + 2 * _QUARTER + 36, 2 + _QUARTER, sign, "strong") if sign else "<g/>"


def _grids(pairs: _Pairs, step: int) -> Iterator[str]:
    """Draw the pairs that each quarter of the result has so far."""
    for quarter, place in enumerate(_PLACES):
        x = 30 + quarter * (4 * _CELL + 18)
        yield words(x + 2 * _CELL, _GRID - 36, f"pairs in {entry('c', *place)}")
        for column, of_right in enumerate(_PLACES):
            yield words(x + (column + 0.5) * _CELL, _GRID - 14, entry("b", *of_right))
        for row, column in itertools.product(range(4), range(4)):
            wanted, there = _wanted(quarter, row, column), pairs.so_far(quarter, step, row, column)
            kind = ("forward" if there else "forward line") if wanted else ("left-out" if there else "faint")
            at = x + column * _CELL, _GRID + row * _CELL
            yield rect(*at, _CELL - 2, _CELL - 2, kind, stroke_width=2 if wanted else 1)
            yield words(at[0] + _CELL / 2 - 1, at[1] + _CELL / 2 - 1, _signed(there)) if there else "<g/>"
    for row, of_left in enumerate(_PLACES):
        yield words(16, _GRID + (row + 0.5) * _CELL, entry("a", *of_left))


def _bars(fast: Work, ordinary: Work) -> Iterator[str]:
    """Draw all operations of both ways; sums of quarters stand behind the products."""
    left = WIDTH - _LONGEST - 40
    for number, (name, work) in enumerate((("seven products", fast), ("entry by entry", ordinary))):
        y, scale = _BARS + 22 * number, _LONGEST / float(ordinary.exact)
        products = float(work.multiplications + work.additions) * scale
        # sums may be many times the products, where small matrices are cut often
        sums = min(float(work.around) * scale, WIDTH - 4 - left - products)
        yield words(left - 8, y + 8, name, "end")
        yield rect(left, y, products, 16, "forward")
        yield rect(left + products, y, max(sums, 0.0), 16) if work.around else "<g/>"
    yield line(left + _LONGEST, _BARS - 4, left + _LONGEST, _BARS + 42, stroke_dasharray="4 3")
    yield rect(left, _BARS + 45, 8, 8, "forward")
    yield words(left + 13, _BARS + 49, "in the products", "start")
    yield rect(left + 120, _BARS + 45, 8, 8)
    yield words(left + 133, _BARS + 49, "sums of quarters", "start")
