"""How an operator finds its rule: in the tables, else by the tags that PyTorch gives it."""

from collections.abc import Iterable

import torch
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import is_traceable_wrapper_subclass_type

from flopbook.measure.operators.movement import moves
from flopbook.measure.operators.pointwise import of_input, of_result
from flopbook.measure.operators.registry import CONTRACTIONS, FOUND, MASKED, MOVES, POINTWISE, Rule, aten


def find_rule(operator: OpOverload | HigherOrderOperator) -> Rule | None:
    """Rule of an operator, or None where nothing is known of it."""
    rule = _look_up(operator)
    if rule:
        FOUND[getattr(operator, "_op", operator)] = rule
    return rule


def _look_up(operator: OpOverload | HigherOrderOperator) -> Rule | None:
    packet = getattr(operator, "overloadpacket", operator)
    name = f"{operator.namespace}::{packet.__name__}"
    if packet in CONTRACTIONS or packet in POINTWISE:
        return Rule(name, CONTRACTIONS.get(packet), POINTWISE.get(packet), MASKED.get(packet))
    if isinstance(operator, HigherOrderOperator):
        return None
    if moves(operator):
        return MOVES
    if torch.Tag.reduction in operator.tags or packet.__name__.startswith("_foreach_"):
        return Rule(name, pointwise=of_input)
    if torch.Tag.pointwise in operator.tags:
        return Rule(name, pointwise=of_result)
    return _as_the_plain_one(name, operator._overloadname)


def _as_the_plain_one(name: str, overload: str) -> Rule | None:
    """Rule of an operator in place, if the one that it is the variant of has a rule."""
    namespace, plain = name[:-1].split("::")
    if namespace != "aten" or name[-1] != "_" or not hasattr(aten, plain):
        return None
    rule = _look_up(getattr(getattr(aten, plain), overload))
    return rule._replace(operator=name) if rule and rule is not MOVES else rule


def made_of_others(types: Iterable[type]) -> bool:
    """Whether a kind of tensor is among them that runs operators on tensors that it holds.

    A tensor that processes share is taken as a whole: its shards are not all here, and to know how they
    lie it runs operators for their shapes alone.
    """
    holding = (kind for kind in types if is_traceable_wrapper_subclass_type(kind))
    return any(kind.__module__ != "torch.distributed.tensor" for kind in holding)
