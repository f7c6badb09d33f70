"""How an operator finds its rule: in the tables, else by the tags that PyTorch gives it."""

import torch
from torch._ops import HigherOrderOperator, OpOverload

from flopbook.operators.movement import moves
from flopbook.operators.pointwise import of_input, of_result
from flopbook.operators.table import CONTRACTIONS, FOUND, MASKED, MOVES, POINTWISE, Rule


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
    return None
