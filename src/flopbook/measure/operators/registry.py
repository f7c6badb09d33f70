"""Keep the table of rules, and let rules be added."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch._ops import HigherOrderOperator, OpOverloadPacket

Operator = OpOverloadPacket | HigherOrderOperator

#: Functions of an operator's result and arguments, by the operator's name, such as ``aten::mm``.
Table = dict[str, Callable]

#: FLOPs of contractions: each rule is called with the result and the operator's arguments.
CONTRACTIONS: Table = {}

#: Pointwise arithmetic of operators that do not simply do one operation per element.
POINTWISE: Table = {}

#: Exponentials, logarithms, roots and the like: a part of the pointwise arithmetic.
TRANSCENDENTAL: Table = {}

#: Operations of contractions that multiply integers, whatever their result is.
INTEGER: Table = {}

#: FLOPs of a contraction spent on pairs that a mask leaves out: an int, a tensor that holds one, or None for unknown.
MASKED: Table = {}

#: FLOPs of a contraction that a fused backward kernel spends on computing scores again.
REMADE: Table = {}

#: What a collective carries between processes: a list of collective, payload bytes, ranks and bytes sent in a ring.
COMMUNICATION: Table = {}


class Rule(NamedTuple):
    """Holds an operator's functions, one for each kind of cost, or None."""

    operator: str
    contraction: Callable | None = None
    pointwise: Callable | None = None
    transcendental: Callable | None = None
    integer: Callable | None = None
    masked: Callable | None = None
    remade: Callable | None = None
    communication: Callable | None = None


#: The rule of an operator that only moves or makes data.
MOVES = Rule("moves")

#: What :func:`flopbook.measure.operators.lookup.find_rule` has found so far.
FOUND: dict[Callable, Rule] = {}


def flop_rule(*operators: Operator) -> Callable:
    """Register the decorated function as the rule of `operators`.

    Parameters
    ----------
    *operators : OpOverloadPacket
        Such as ``torch.ops.aten.mm`` or ``torch.ops.mylib.fused_linear``;
        the rule holds for every overload.

    Returns
    -------
    callable
        A decorator. The rule is called as ``rule(out, *args, **kwargs)`` with
        the operator's result and its arguments, and returns FLOPs: two for
        each multiply-accumulate, as an int. What the operator returns does not
        matter: nothing, integers or several tensors. A rule registered later
        replaces an earlier one.

    Raises
    ------
    TypeError
        If something other than an operator is given, or nothing, or what is
        decorated is not a function.
    ValueError
        If an operator runs as others in all its overloads, such as
        ``torch.ops.aten.linear``: its rule would never be called.

    Examples
    --------
    >>> import torch
    >>> @torch.library.custom_op("flopbook_example::scaled_product", mutates_args=())
    ... def scaled_product(left: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    ...     return 0.5 * (left @ right)
    >>> @flop_rule(torch.ops.flopbook_example.scaled_product)
    ... def scaled_product_flops(out, left, right):
    ...     (B, D), (_, K) = left.shape, right.shape
    ...     return 2 * B * D * K
    """
    if not operators:
        raise TypeError("no operator is named: give one such as torch.ops.aten.mm")
    for operator in operators:
        if not isinstance(operator, (OpOverloadPacket, HigherOrderOperator)):
            raise TypeError(f"{operator!r} is not an operator: give one such as torch.ops.aten.mm, without overload")
        if _runs_as_others(operator):
            raise ValueError(
                f"{name_of(operator)} runs as other operators, and those are counted: "
                "register rules for operators that have kernels"
            )

    def register(rule: Callable) -> Callable:
        if not callable(rule):
            raise TypeError(f"{rule!r} is not a rule: give a function of the result and the operator's arguments")
        CONTRACTIONS.update(dict.fromkeys(map(name_of, operators), rule))
        FOUND.clear()
        return rule

    return register


def _runs_as_others(operator: Operator) -> bool:
    """Tell whether PyTorch replaces an operator by others before a count sees it."""
    if isinstance(operator, HigherOrderOperator):
        return False
    overloads = (getattr(operator, name, None) for name in operator.overloads())  # PyTorch names some that are missing
    every = [overload for overload in overloads if overload]
    plain = [overload for overload in every if not overload._schema.is_mutable] or every
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    return all(torch._C._dispatch_has_kernel_for_dispatch_key(overload.name(), composite) for overload in plain)


def name_of(operator: Operator) -> str:
    """Return an operator's name with its namespace, without its overload."""
    return (
        operator._qualified_op_name if isinstance(operator, OpOverloadPacket) else f"{operator.namespace}::{operator}"
    )
