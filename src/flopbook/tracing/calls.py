"""Name what a call of an operator belongs to: its phase, its module and the operator."""

from typing import NamedTuple

import sympy

from flopbook.counts.tally import PHASES as _ALL

#: The phases of a traced step: a trace has no optimizer.
PHASES = _ALL[:3]


class Cell(NamedTuple):
    """One entry of the result: a phase, a module and an operator."""

    phase: str
    module: str
    operator: str


#: FLOPs of every cell.
Costs = dict[Cell, sympy.Expr]
