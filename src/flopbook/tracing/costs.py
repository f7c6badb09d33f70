"""Find polynomials through the costs of a model at a few sizes of a letter."""

from collections import defaultdict
from collections.abc import Collection, Sequence
from math import prod
from typing import NamedTuple

import sympy

from flopbook.counts.breakdown import upwards


class Cell(NamedTuple):
    """Name what costs: a phase, a module and an operator."""

    phase: str
    module: str
    operator: str


#: FLOPs of every cell.
Costs = dict[Cell, sympy.Expr]


def fit(
    symbol: sympy.Symbol, values: Sequence[int], samples: Sequence[Costs], merged: Collection[str] = ()
) -> tuple[Costs, dict[Cell, int]]:
    """Return the polynomials through all samples, and the degree of each.

    Parameters
    ----------
    symbol : Symbol
        The letter that was sampled.
    values : sequence of int
        Its sizes.
    samples : sequence of Costs
        The costs at each of them.
    merged : collection of str
        Modules that count as the ones that hold them, and operators that count as one.

    Examples
    --------
    >>> from flopbook.predict import D, L
    >>> cell = Cell("forward", "", "aten::mm")
    >>> fit(L, [2, 3, 4], [{cell: 4 * D}, {cell: 6 * D}, {cell: 8 * D}])[0][cell]
    2*D*L
    """
    aligned = align(samples, merged)
    found = {
        cell: interpolate(symbol, values, [sample.get(cell, sympy.S.Zero) for sample in aligned])
        for cell in dict.fromkeys(cell for sample in aligned for cell in sample)
    }
    return {cell: cost for cell, (cost, _) in found.items()}, {cell: degree for cell, (_, degree) in found.items()}


def interpolate(symbol: sympy.Symbol, values: Sequence[int], samples: Sequence[sympy.Expr]) -> tuple[sympy.Expr, int]:
    """Return Newton's polynomial through the samples, and its degree.

    >>> x = sympy.Symbol("x")
    >>> interpolate(x, [2, 3, 5, 6], [sympy.Integer(n) for n in (4, 9, 25, 36)])
    (x**2, 2)
    """
    coefficients = [_divided_difference(values[:number], samples[:number]) for number in range(1, len(values) + 1)]
    degree = max((i for i, coefficient in enumerate(coefficients) if coefficient != 0), default=0)
    polynomial = sympy.S.Zero
    for value, coefficient in zip(reversed(values[: degree + 1]), reversed(coefficients[: degree + 1]), strict=True):
        polynomial = polynomial * (symbol - value) + coefficient
    return sympy.expand(polynomial), degree


def _divided_difference(values: Sequence[int], samples: Sequence[sympy.Expr]) -> sympy.Expr:
    weighted = (
        sample / prod(value - other for other in values if other != value)
        for value, sample in zip(values, samples, strict=True)
    )
    return sympy.expand(sympy.Add(*weighted))


def align(samples: Sequence[Costs], merged: Collection[str]) -> list[Costs]:
    """Give every sample the same modules.

    A module that some samples lack, or that is merged, counts as the one that holds it.
    """
    either = " or ".join(sorted(name for name in merged if "::" in name))
    common = set.intersection(*({holder for cell in sample for holder in upwards(cell.module)} for sample in samples))
    aligned = []
    for sample in samples:
        found: defaultdict[Cell, list[sympy.Expr]] = defaultdict(list)
        for (phase, path, operator), cost in sample.items():
            shared = (holder for holder in upwards(path) if holder in common and not {*upwards(holder)} & {*merged})
            found[Cell(phase, next(shared, ""), either if operator in merged else operator)].append(cost)
        aligned.append({cell: sympy.Add(*costs) for cell, costs in found.items()})
    return aligned


def summed(costs: Costs) -> dict[str, sympy.Expr]:
    """Add up the costs of each phase."""
    sums: defaultdict[str, list[sympy.Expr]] = defaultdict(list)
    for cell, cost in costs.items():
        sums[cell.phase].append(cost)
    return {phase: sympy.Add(*found) for phase, found in sums.items()}
