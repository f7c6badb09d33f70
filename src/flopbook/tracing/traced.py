"""Hold what a trace gives: formulas by phase, by module and by operator."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cached_property
from html import escape
from typing import NamedTuple

import sympy
from sympy.printing.mathml import mathml

from flopbook.counts.breakdown import upwards
from flopbook.counts.tally import Tally
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Styled, Table
from flopbook.tracing.costs import Costs
from flopbook.tracing.letters import in_words


class ModuleFormula(NamedTuple):
    """Hold the FLOPs of a module with all that it holds, in each phase."""

    forward: sympy.Expr
    backward: sympy.Expr
    recomputed: sympy.Expr


class TracedTally(Tally):
    """Hold a trace at given sizes, as :func:`flopbook.comparison.compare` takes it."""

    witness = "traced"


class Traced:
    """Hold the formulas of a model, made by :func:`trace`.

    In a notebook it shows itself as a table of its modules.

    Attributes
    ----------
    forward, backward, recomputed, total : sympy.Expr
        FLOPs of the contractions of each phase, and of all.
    by_module : dict of str to ModuleFormula
        FLOPs of every module with all that it holds, by its path from the
        model, such as ``blocks.0.mlp``. The first, ``""``, is the whole step.
    by_operator : dict of str to sympy.Expr
        FLOPs of every operator that contracts, in all phases.
    sizes : dict of str to int
        The example sizes.
    conditions : tuple of sympy.Basic
        What the sizes have to be like, so that the formulas hold.
    way : str
        How the formulas were found.
    uncounted : dict of str to int
        Calls of every operator that no rule is known for.
    """

    def __init__(
        self,
        costs: Costs,
        sizes: Mapping[str, int],
        *,
        conditions: Sequence[sympy.Basic],
        way: str,
        uncounted: Mapping[str, int],
    ):
        self._costs, self.sizes = costs, dict(sizes)
        self.conditions, self.way, self.uncounted = tuple(conditions), way, dict(uncounted)

    @property
    def forward(self) -> sympy.Expr:
        return self.by_module[""].forward

    @property
    def backward(self) -> sympy.Expr:
        return self.by_module[""].backward

    @property
    def recomputed(self) -> sympy.Expr:
        return self.by_module[""].recomputed

    @cached_property
    def total(self) -> sympy.Expr:
        return readable(sympy.Add(*self.by_module[""]))

    @cached_property
    def by_module(self) -> dict[str, ModuleFormula]:
        sums: defaultdict[tuple[str, str], list[sympy.Expr]] = defaultdict(list)
        rank = {"": 0}
        for (phase, path, _), cost in self._costs.items():
            for holder in reversed([*upwards(path)]):
                rank.setdefault(holder, len(rank))
                sums[holder, phase].append(cost)
        return {
            path: ModuleFormula(*(readable(sympy.Add(*sums[path, phase])) for phase in ModuleFormula._fields))
            for path in sorted(rank, key=lambda path: [rank[holder] for holder in reversed([*upwards(path)])])
        }

    @cached_property
    def by_operator(self) -> dict[str, sympy.Expr]:
        sums: defaultdict[str, list[sympy.Expr]] = defaultdict(list)
        for (_, _, operator), cost in self._costs.items():
            sums[operator].append(cost)
        return {operator: readable(sympy.Add(*costs)) for operator, costs in sums.items()}

    def at(self, sizes: Mapping[str, int]) -> TracedTally:
        """Count what the formulas give at these sizes, to compare it with other witnesses."""
        tally = TracedTally()
        for (phase, path, operator), cost in self._costs.items():
            tally.note(phase, path, operator, int(evaluate(cost, sizes)), 0)
        return tally

    @property
    def _table(self) -> Table:
        phases = [phase for phase in ModuleFormula._fields if getattr(self, phase) != 0 or phase != "recomputed"]
        rows: list[tuple[Cell, ...]] = [
            (path or "the whole step", *(_formula(getattr(formula, phase)) for phase in phases))
            for path, formula in self.by_module.items()
        ]
        return Table(("module", *phases), rows, "FLOPs, traced")

    @property
    def _notes(self) -> list[str]:
        told = [self.way]
        if self.conditions:
            told.append(f"Holds where {' and '.join(map(in_words, self.conditions))}.")
        return told

    def __repr__(self):
        return "\n".join([self._table.text, *self._notes])

    def _repr_html_(self) -> str:
        return self._table.html + "".join(f"<p>{escape(note)}</p>" for note in self._notes)


def _formula(expression: sympy.Expr) -> Styled:
    return Styled(str(expression), f"<math>{mathml(expression, printer='presentation')}</math>")


def readable(expression: sympy.Expr) -> sympy.Expr:
    """Choose the shortest way to write an expression: multiplied out, in factors, or with common ones in front.

    >>> from flopbook.predict import B, D, K
    >>> readable(2 * B * D * K + 4 * B * D * K)
    6*B*D*K
    >>> readable(B * (D + K) - B * K)
    B*D
    """
    expanded = sympy.expand(expression)
    return min((expanded, sympy.factor_terms(expanded), sympy.factor_terms(expression)), key=sympy.count_ops)
