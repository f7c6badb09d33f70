"""The table of rules, and how to add one."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch._ops import HigherOrderOperator, OpOverloadPacket

aten = torch.ops.aten

Operator = OpOverloadPacket | HigherOrderOperator

#: FLOPs of contractions: each rule is called with the result and the operator's arguments.
CONTRACTIONS: dict[Operator, Callable[..., int]] = {}

#: Pointwise arithmetic of operators that do not simply do one operation per element.
POINTWISE: dict[Operator, Callable[..., int]] = {}

#: What causal attention spends on keys that lie after the query, a part of its contraction.
MASKED: dict[Operator, Callable[..., int]] = {}


class Rule(NamedTuple):
    """What one call of an operator costs: contractions, and pointwise arithmetic apart."""

    operator: str
    contraction: Callable[..., int] | None = None
    pointwise: Callable[..., int] | None = None
    masked: Callable[..., int] | None = None


#: The rule of an operator that only moves or makes data.
MOVES = Rule("moves")

#: What :func:`flopbook.measure.operators.lookup.find_rule` has found so far, by what the operator calls:
#: that is quicker to look up than the operator.
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
        each multiply-accumulate, as an int. A rule registered later replaces
        an earlier one.

    Raises
    ------
    TypeError
        If something other than an operator is given, or nothing, or what is
        decorated is no function.

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
    return _register(CONTRACTIONS, operators)


def pointwise_rule(*operators: Operator) -> Callable:
    """Register the decorated function as the pointwise arithmetic of `operators`."""
    return _register(POINTWISE, operators)


def masked_rule(*operators: Operator) -> Callable:
    """Register the decorated function as what `operators` spend on masked keys."""
    return _register(MASKED, operators)


def _register(table: dict, operators: tuple) -> Callable:
    if not operators:
        raise TypeError("no operator is named: give one such as torch.ops.aten.mm")
    for operator in operators:
        if not isinstance(operator, (OpOverloadPacket, HigherOrderOperator)):
            raise TypeError(f"{operator!r} is no operator: give one such as torch.ops.aten.mm, without overload")

    def register(rule: Callable[..., int]) -> Callable[..., int]:
        if not callable(rule):
            raise TypeError(f"{rule!r} is no rule: give a function of the result and the operator's arguments")
        table.update(dict.fromkeys(operators, rule))
        FOUND.clear()
        return rule

    return register
