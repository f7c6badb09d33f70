"""The predicting side of updates: what an optimizer does to each parameter, and the FLOPs it takes."""

from typing import NamedTuple

import sympy
from sympy import Expr, IndexedBase, sqrt, symbols

from flopbook.predict.pointwise import operations

__all__ = ["OPTIMIZERS", "RULES", "State", "update_flops"]


class State(NamedTuple):
    """What an optimizer keeps: moments for each parameter, and step counters of 4 bytes for each tensor."""

    moments: int
    counters: int


#: What the optimizers of PyTorch keep, with their usual settings.
OPTIMIZERS = {
    "SGD": State(0, 0),
    "SGD with momentum": State(1, 0),
    "Adam": State(2, 1),
    "AdamW": State(2, 1),
}


_i, _eta, _mu, _decay, _epsilon, _beta1, _beta2, _s = symbols("i eta mu lambda epsilon beta1 beta2 s")
_p, _g, _b, _m, _v = (IndexedBase(name)[_i] for name in "pgbmv")
_means = (_beta1 * _m + (1 - _beta1) * _g, _beta2 * _v + (1 - _beta2) * _g**2)
_move = _eta * _m / (1 - _beta1**_s) / (sqrt(_v / (1 - _beta2**_s)) + _epsilon)

#: What each optimizer of `` works out for a parameter p with gradient g; the last is its new value.
#: Momentum has the velocity b, Adam the running means m and v and the number of the step, s.
RULES: dict[str, tuple[Expr, ...]] = {
    "SGD": (_p - _eta * _g,),
    "SGD with momentum": (_mu * _b + _g, _p - _eta * _b),
    "Adam": (*_means, _p - _move),
    "AdamW": (*_means, (1 - _eta * _decay) * _p - _move),
}


def update_flops(optimizer: str, parameters: Expr | int, tensors: Expr | int) -> Expr:
    """FLOPs of one update of all parameters.

    Parameters
    ----------
    optimizer : str
        A name in `RULES`.
    parameters, tensors : sympy.Expr or int
        How many numbers there are, and in how many tensors: some optimizers count their steps in each tensor.

    Raises
    ------
    ValueError
        If the optimizer is unknown.

    Notes
    -----
    Derived in the lecture *Cost a whole training step*.

    Examples
    --------
    >>> from flopbook.predict import N
    >>> update_flops("SGD", N, tensors=8), update_flops("AdamW", N, tensors=8)
    (2*N, 14*N + 8)
    """
    if optimizer not in RULES:
        raise ValueError(f"{optimizer!r} is no optimizer whose rule is known: write one of {', '.join(RULES)}")
    return sympy.sympify(operations(*RULES[optimizer]) * parameters + OPTIMIZERS[optimizer].counters * tensors)
