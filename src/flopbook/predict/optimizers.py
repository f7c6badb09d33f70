"""Derive from an optimizer's rule the FLOPs of its update, and its state.

The rules here treat each parameter for itself. Those that work on whole matrices are in
`flopbook.predict.matrix_optimizers`.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from sympy import Abs, Expr, Function, Indexed, IndexedBase, Max, Piecewise, sign, sqrt, symbols

from flopbook.checks import is_number, one_of, quoted
from flopbook.predict.pointwise import operations
from flopbook.predict.values import number

__all__ = ["OPTIMIZERS", "Optimizer", "State", "optimizer", "update_flops"]


class State(NamedTuple):
    """Counts what an optimizer keeps: moments of each parameter, 4-byte counters of each tensor."""

    moments: Expr | int
    counters: Expr | int


Rule = dict[Indexed, Expr]

_i, _eta, _mu, _tau, _decay, _epsilon, _alpha, _beta1, _beta2, _s = symbols(
    "i eta mu tau lambda epsilon alpha beta1 beta2 s"
)
#: -1, where PyTorch multiplies by it instead of subtracting.
_minus = symbols("minus")
_p, _g, _a, _b, _m, _u, _v, _x, _q, _z = (IndexedBase(letter)[_i] for letter in "pgabmuvxqz")
#: What a rule works out on its way and does not keep; h is the gradient after all that changes it first.
_WORK = _h, _d, _e, _f, _k, _r, _w = tuple(IndexedBase(letter)[_i] for letter in "hdefkrw")


@dataclass(frozen=True)
class Optimizer:
    """Describes an optimizer by what it does to each parameter.

    Attributes
    ----------
    rule : mapping of sympy.Indexed to sympy.Expr
        The new value of each moment and of the parameter, in the order in which they are worked out.
        The parameter is p, its gradient g, and s the number of the step; h, d, e, f, k, r and w are not kept.
    counters : int
        Numbers of 4 bytes that it keeps for each tensor, such as that of the step.
    each_tensor : int
        FLOPs for each tensor, which these numbers take.

    Examples
    --------
    >>> momentum = OPTIMIZERS["SGD with momentum"]
    >>> momentum.rule
    {b[i]: mu*b[i] + g[i], p[i]: -eta*b[i] + p[i]}
    >>> momentum.state, momentum.operations
    (State(moments=1, counters=0), 4)
    """

    rule: Mapping[Indexed, Expr]
    counters: int
    each_tensor: int

    @property
    def state(self) -> State:
        """Return what the rule keeps beside the parameter."""
        return State(len(self.rule.keys() - {_p, *_WORK}), self.counters)

    @property
    def operations(self) -> int:
        """Return the FLOPs for each parameter."""
        return operations(*self.rule.values())


class _Options(frozenset[str]):
    """Holds the options that are on, and derives what they change before a rule begins."""

    @property
    def gradient(self) -> tuple[Rule, Expr]:
        """The gradient that the rule reads, and how it is made where it is not g."""
        changed = _minus * _g if "maximize" in self else _g
        if "weight_decay" in self and "decoupled_weight_decay" not in self:
            changed += _decay * _p
        return ({_h: changed}, _h) if changed != _g else ({}, _g)

    @property
    def parameter(self) -> Expr:
        """The parameter, shrunk where its decay is apart from the gradient."""
        return (1 - _eta * _decay) * _p if {"weight_decay", "decoupled_weight_decay"} <= self else _p


def _mean(moment: Expr, share: Expr, new: Expr) -> Expr:
    return share * moment + (1 - share) * new


def _moments(g: Expr) -> Rule:
    return {_m: _mean(_m, _beta1, g), _v: _mean(_v, _beta2, g**2)}


def _adadelta(on: _Options) -> Rule:
    first, g = on.gradient
    delta = sqrt(_u + _epsilon) / sqrt(_v + _epsilon) * g
    means = {_v: _mean(_v, _alpha, g**2), _d: delta, _u: _mean(_u, _alpha, _d**2)}
    return {**first, **means, _p: _p - _eta * _d}


def _adagrad(on: _Options) -> Rule:
    first, g = on.gradient
    rate = _eta / (1 + (_s - 1) * symbols("kappa")) if "lr_decay" in on else _eta
    return {**first, _a: _a + g**2, _p: _p - rate * g / (sqrt(_a) + _epsilon)}


def _adam(on: _Options) -> Rule:
    first, g = on.gradient
    largest, second = ({_x: Max(_x, _v)}, _x) if "amsgrad" in on else ({}, _v)
    move = _eta * _m / (1 - _beta1**_s) / (sqrt(second / (1 - _beta2**_s)) + _epsilon)
    return {**first, **_moments(g), **largest, _p: on.parameter - move}


def _adamw(on: _Options) -> Rule:
    return _adam(_Options(on | {"decoupled_weight_decay"}))


def _adamax(on: _Options) -> Rule:
    first, g = on.gradient
    largest = Max(_beta2 * _u, Abs(g) + _epsilon)
    return {**first, _m: _mean(_m, _beta1, g), _u: largest, _p: _p - _eta / (1 - _beta1**_s) * _m / _u}


def _asgd(on: _Options) -> Rule:
    first, g = on.gradient
    rate, decay, share = symbols("eta_s lambda_s mu_s")
    if "foreach" in on:
        move = {_d: g + decay * _p, _e: rate * _d, _p: _p + _minus * _e}
        return {**first, **move, _a: _a + share * (_p - _a)}
    mean = _p if "early" in on else _a + share * (_p - _a)
    return {**first, _p: (1 - decay * rate) * _p - rate * g, _a: mean}


def _nadam(on: _Options) -> Rule:
    first, g = on.gradient
    for_gradient, for_mean = symbols("eta_g eta_m")
    root = sqrt(_v / (1 - _beta2**_s)) + _epsilon
    return {**first, **_moments(g), _d: root, _p: on.parameter - for_gradient * g / _d - for_mean * _m / _d}


def _radam(on: _Options) -> Rule:
    first, g = on.gradient
    rectified, plain = symbols("rho eta_s")
    if "foreach" in on:  # both ways are worked out, and the one that does not hold has a factor of zero
        move = {_d: sqrt(_v) + _epsilon, _e: _d / rectified, _r: 1 / _e + plain, _p: on.parameter + _m * _r}
        return {**first, **_moments(g), **move}
    mean = {_d: _m / (1 - _beta1**_s), _e: _eta * _d}
    if "early" in on:
        return {**first, **_moments(g), **mean, _p: on.parameter + _minus * _e}
    # one factor after the other, each of which meets all elements
    root = {_r: 1 / (sqrt(_v) + _epsilon), _w: sqrt(1 - _beta2**_s) * _r}
    return {**first, **_moments(g), **mean, **root, _f: _e * _w, _k: rectified * _f, _p: on.parameter + _minus * _k}


def _rmsprop(on: _Options) -> Rule:
    first, g = on.gradient
    rule = {**first, _v: _mean(_v, _alpha, g**2)}
    spread = _v
    if "centered" in on:
        rule[_a] = _mean(_a, _alpha, g)
        spread = _v + _minus * _a**2
    root = sqrt(spread) + _epsilon
    if "momentum" in on:
        return {**rule, _b: _mu * _b + g / root, _p: _p - _eta * _b}
    return {**rule, _p: _p - _eta * g / root}


def _rprop(on: _Options) -> Rule:
    first, g = on.gradient
    # over lists, the product is turned and not its factor
    agree = _minus * _g * _q if {"maximize", "foreach"} <= on else g * _q
    low, high, shrink, grow = symbols("low high shrink grow")
    return {
        **first,
        _d: sign(agree),
        _e: Piecewise((grow, _d > 0), (shrink, _d < 0), (1, True)),
        _z: Function("clamp")(_z * _e, low, high),
        _q: Piecewise((0, _d < 0), (g, True)),
        _p: _p + _minus * sign(_q) * _z,
    }


def _sgd(on: _Options) -> Rule:
    first, g = on.gradient
    if "momentum" not in on:
        return {**first, _p: _p - _eta * g}
    new = (1 - _tau) * g if "dampening" in on else g
    moved = g + _mu * _b if "nesterov" in on else _b
    return {**first, _b: g if "early" in on else _mu * _b + new, _p: _p - _eta * moved}


def _sparse_adam(on: _Options) -> Rule:
    first, g = on.gradient
    moves = {_d: (1 - _beta1) * (g - _m), _e: (1 - _beta2) * (g**2 - _v)}
    new = {_f: _d + _m, _w: _e + _v}  # once more, to have them without the rows that are not there
    rate = _eta * sqrt(1 - _beta2**_s) / (1 - _beta1**_s)
    return {**first, **moves, **new, _m: _m + _d, _v: _v + _e, _p: _p - rate * _f / (sqrt(_w) + _epsilon)}


class _Kind(NamedTuple):
    """Holds what makes a rule, the options that it takes, and what it keeps for each tensor."""

    rule: Callable[[_Options], Rule]
    takes: str
    counters: int = 1
    each_tensor: int = 1


_KINDS = {
    "SGD": _Kind(_sgd, "weight_decay momentum dampening nesterov maximize early", counters=0, each_tensor=0),
    "Adam": _Kind(_adam, "weight_decay amsgrad maximize decoupled_weight_decay"),
    "AdamW": _Kind(_adamw, "weight_decay amsgrad maximize"),
    "Adadelta": _Kind(_adadelta, "weight_decay maximize"),
    "Adagrad": _Kind(_adagrad, "lr_decay weight_decay maximize"),
    "Adamax": _Kind(_adamax, "weight_decay maximize"),
    "ASGD": _Kind(_asgd, "weight_decay maximize early", counters=3),
    "NAdam": _Kind(_nadam, "weight_decay decoupled_weight_decay maximize", counters=2, each_tensor=2),
    "RAdam": _Kind(_radam, "weight_decay decoupled_weight_decay maximize early"),
    "RMSprop": _Kind(_rmsprop, "weight_decay momentum centered maximize"),
    "Rprop": _Kind(_rprop, "maximize"),
    "SparseAdam": _Kind(_sparse_adam, "maximize", counters=0, each_tensor=0),
}
#: Those whose update depends on more than how many parameters there are.
_BY_SHAPE = {"Adafactor": "adafactor(D, K)", "LBFGS": "lbfgs(N)", "Muon": "muon(D, K)"}


def optimizer(name: str, *, foreach: bool = False, **options: float) -> Optimizer:
    """Describe an optimizer of PyTorch with its options, in PyTorch's order of operations.

    Parameters
    ----------
    name : str
        Of a class of `torch.optim`, such as ``RMSprop``.
    foreach : bool
        Whether all tensors are updated together, as on a GPU, instead of one after the other. That changes the FLOPs
        of ASGD, of RAdam, and of Rprop that maximizes. A fused update takes those of one after the other.
    **options : float
        Options of the class that change what is worked out, such as ``momentum=0.9`` or ``amsgrad=True``; 0 is off.
        ``early=True`` stands for the first steps, where some do less: the first one of SGD with momentum, five of
        RAdam, and those before ``t0`` of ASGD, a million unless told otherwise.
        ``weight_decay`` is on in AdamW, and off in all others.

    Raises
    ------
    TypeError, ValueError
        If the optimizer or an option is not known, or an option is not a number of at least 0; quotes it.

    Notes
    -----
    SparseAdam updates the rows that a gradient has; its FLOPs are for each number of these.
    Derived in the lecture *Matrix optimizers*.

    Examples
    --------
    >>> optimizer("RMSprop").operations, optimizer("RMSprop", momentum=0.9, centered=True).operations
    (9, 17)
    >>> optimizer("Adam", amsgrad=True).state
    State(moments=3, counters=1)
    """
    kind = _KINDS[_known(name, _KINDS)]
    given = {"weight_decay": 0.01 if name == "AdamW" else 0.0} | options
    for option in options:
        one_of(f"option of {name}", option, kind.takes.split())
        if not (isinstance(given[option], bool) or (is_number(given[option]) and given[option] >= 0)):
            raise ValueError(f"{option}={quoted(given[option])} is out of range: write a number of at least 0")
    on = _Options([option for option, value in given.items() if value] + ["foreach"] * bool(foreach))
    if "nesterov" in on and ("momentum" not in on or "dampening" in on):
        raise ValueError("nesterov=True needs momentum and no dampening: write momentum=0.9, nesterov=True")
    # ASGD's rate and share are worked out on tensors of one number each where all tensors are updated together
    further = 5 if name == "ASGD" and foreach else 0
    return Optimizer(kind.rule(on), kind.counters, kind.each_tensor + further)


def _known(name: object, names: Collection[str]) -> str:
    """Return the name of an optimizer that treats each parameter for itself, and refuse all else."""
    for other, remedy in _BY_SHAPE.items():
        if name == other:
            raise ValueError(
                f"optimizer={name!r} does not treat each parameter for itself: "
                f"write {remedy} of flopbook.predict.matrix_optimizers"
            )
    return one_of("optimizer", name, names)


#: The optimizers of PyTorch that treat each parameter for itself, with their usual settings.
OPTIMIZERS = {
    "SGD": optimizer("SGD"),
    "SGD with momentum": optimizer("SGD", momentum=0.9),
    **{name: optimizer(name) for name in _KINDS if name != "SGD"},
}


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
    known = OPTIMIZERS[_known(optimizer, OPTIMIZERS)]
    numbers, counted = number("parameters", parameters), number("tensors", tensors)
    return known.operations * numbers + known.each_tensor * counted
