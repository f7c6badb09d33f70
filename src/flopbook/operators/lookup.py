"""How an operator finds its rule: in the tables, else by the tags that PyTorch gives it."""

import torch
from torch._ops import OpOverload

from flopbook.operators.movement import moves
from flopbook.operators.pointwise import of_input, of_result
from flopbook.operators.table import CONTRACTIONS, FOUND, POINTWISE, Rule


def find_rule(operator: OpOverload) -> Rule | None:
    """Rule of an operator, or None where nothing is known of it."""
    if operator not in FOUND:
        FOUND[operator] = _look_up(operator)
    return FOUND[operator]


def _look_up(operator: OpOverload) -> Rule | None:
    if not isinstance(operator, OpOverload):
        return None
    packet = operator.overloadpacket
    if packet in CONTRACTIONS or packet in POINTWISE:
        return Rule(CONTRACTIONS.get(packet), POINTWISE.get(packet))
    if moves(operator):
        return Rule()
    if torch.Tag.reduction in operator.tags or operator._schema.name.startswith("aten::_foreach_"):
        return Rule(pointwise=of_input)
    if torch.Tag.pointwise in operator.tags:
        return Rule(pointwise=of_result)
    return None
