"""How an operator finds its rule: in the tables, else by the tags that PyTorch gives it."""

import torch
from torch._ops import OpOverload

from flopbook.operators.movement import moves
from flopbook.operators.pointwise import of_input, of_result
from flopbook.operators.table import CONTRACTIONS, FOUND, MOVES, POINTWISE, Rule


def find_rule(operator: OpOverload) -> Rule | None:
    """Rule of an operator, or None where nothing is known of it."""
    rule = _look_up(operator)
    if rule:
        FOUND[operator._op] = rule
    return rule


def _look_up(operator: OpOverload) -> Rule | None:
    if not isinstance(operator, OpOverload):
        return None
    packet, name = operator.overloadpacket, operator._schema.name
    if packet in CONTRACTIONS or packet in POINTWISE:
        return Rule(name, CONTRACTIONS.get(packet), POINTWISE.get(packet))
    if moves(operator):
        return MOVES
    if torch.Tag.reduction in operator.tags or name.startswith("aten::_foreach_"):
        return Rule(name, pointwise=of_input)
    if torch.Tag.pointwise in operator.tags:
        return Rule(name, pointwise=of_result)
    return None
