"""Derive from an optimizer's rule the FLOPs of its update, and its state."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sympy import Expr, Indexed, IndexedBase, sqrt, symbols

from flopbook.checks import one_of
from flopbook.predict.pointwise import operations
from flopbook.predict.values import number

__all__ = ["OPTIMIZERS", "Optimizer", "State", "update_flops"]


class State(NamedTuple):
    """Counts what an optimizer keeps: moments of each parameter, 4-byte counters of each tensor."""

    moments: Expr | int
    counters: Expr | int


_step = symbols("s")


@dataclass(frozen=True)
class Optimizer:
    """Describes an optimizer by what it does to each parameter.

    Attributes
    ----------
    rule : mapping of sympy.Indexed to sympy.Expr
        The new value of each moment, then that of the parameter, in the order in which they are worked out.
        The parameter is p, its gradient g, and s the number of the step.

    Examples
    --------
    >>> momentum = OPTIMIZERS["SGD with momentum"]
    >>> momentum.rule
    {b[i]: mu*b[i] + g[i], p[i]: -eta*b[i] + p[i]}
    >>> momentum.state, momentum.operations
    (State(moments=1, counters=0), 4)
    """

    rule: Mapping[Indexed, Expr]

    @property
    def state(self) -> State:
        """Return what the rule keeps: moments beside the parameter, and a step if used."""
        counts = any(_step in expression.free_symbols for expression in self.rule.values())
        return State(len(self.rule) - 1, int(counts))

    @property
    def operations(self) -> int:
        """Return the FLOPs for each parameter."""
        return operations(*self.rule.values())


def _optimizers() -> dict[str, Optimizer]:
    i, eta, mu, decay, epsilon, beta1, beta2 = symbols("i eta mu lambda epsilon beta1 beta2")
    p, g, b, m, v = (IndexedBase(name)[i] for name in "pgbmv")
    means = {m: beta1 * m + (1 - beta1) * g, v: beta2 * v + (1 - beta2) * g**2}
    move = eta * m / (1 - beta1**_step) / (sqrt(v / (1 - beta2**_step)) + epsilon)
    return {
        "SGD": Optimizer({p: p - eta * g}),
        "SGD with momentum": Optimizer({b: mu * b + g, p: p - eta * b}),
        "Adam": Optimizer({**means, p: p - move}),
        "AdamW": Optimizer({**means, p: (1 - eta * decay) * p - move}),
    }


#: The optimizers of PyTorch that the book knows, with their usual settings and in PyTorch's order of operations.
OPTIMIZERS = _optimizers()


def update_flops(optimizer: str, parameters: Expr | int, tensors: Expr | int) -> Expr:
    """Predict the FLOPs of one update of all parameters.

    Parameters
    ----------
    optimizer : str
        A name in `OPTIMIZERS`.
    parameters, tensors : sympy.Expr or int
        How many numbers there are, and in how many tensors: some optimizers count their steps in each tensor.

    Raises
    ------
    TypeError, ValueError
        If the optimizer is unknown, or the numbers are neither expressions nor whole.

    Notes
    -----
    Derived in the lecture *Cost a whole training step*.

    Examples
    --------
    >>> from flopbook.predict import N
    >>> update_flops("SGD", N, tensors=8), update_flops("AdamW", N, tensors=8)
    (2*N, 14*N + 8)
    """
    known = OPTIMIZERS[one_of("optimizer", optimizer, OPTIMIZERS)]
    numbers, counted = number("parameters", parameters), number("tensors", tensors)
    return known.operations * numbers + known.state.counters * counted
