"""Find an operator's rule in the tables, else by the tags that PyTorch gives it."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch._ops import HigherOrderOperator, OpOverload
from torch.utils._python_dispatch import is_traceable_wrapper_subclass_type
from torch.utils._pytree import tree_leaves

from flopbook.measure.operators.arithmetic import of_input, of_result
from flopbook.measure.operators.movement import moves
from flopbook.measure.operators.names import bare
from flopbook.measure.operators.registry import (
    COMMUNICATION,
    CONTRACTIONS,
    FOUND,
    INTEGER,
    MASKED,
    MOVES,
    POINTWISE,
    REMADE,
    TRANSCENDENTAL,
    Rule,
    name_of,
)

#: All tables of rules, in the order of the fields of a `Rule`.
TABLES = CONTRACTIONS, POINTWISE, TRANSCENDENTAL, INTEGER, MASKED, REMADE, COMMUNICATION


def find_rule(operator: OpOverload | HigherOrderOperator) -> Rule | None:
    """Find the rule of an operator, or None."""
    key = getattr(operator, "_op", operator)  # whose hash is not computed in Python
    if key not in FOUND and (rule := _look_up(operator)):
        FOUND[key] = rule
    return FOUND.get(key)


def _look_up(operator: OpOverload | HigherOrderOperator) -> Rule | None:
    packet = operator.overloadpacket if isinstance(operator, OpOverload) else operator
    name = name_of(packet)
    rule = Rule(name, *(table.get(name) or table.get(bare(name)) for table in TABLES))
    if rule.contraction or rule.pointwise or rule.integer or rule.communication:
        return rule
    if isinstance(operator, HigherOrderOperator):
        return None
    if moves(operator):
        return MOVES
    if torch.Tag.reduction in operator.tags or "::_foreach_" in name:
        return rule._replace(pointwise=of_input)
    if torch.Tag.pointwise in operator.tags:
        return rule._replace(pointwise=of_result)
    return _as_the_plain_one(name, operator._overloadname)


def _as_the_plain_one(name: str, overload: str) -> Rule | None:
    """Find the rule of an in-place operator by that of its plain variant."""
    namespace, plain = name[:-1].split("::")
    if namespace != "aten" or name[-1] != "_" or not hasattr(torch.ops.aten, plain):
        return None
    rule = _look_up(getattr(getattr(torch.ops.aten, plain), overload))
    return rule and rule._replace(operator=name)


def of_the_book(rule: Callable | None) -> bool:
    """Tell whether a rule is the book's; a reader's rule holds whatever the operator returns."""
    return (getattr(rule, "__module__", None) or "").startswith(__package__)


def explain(
    error: Exception, rule: Rule, operator: OpOverload | HigherOrderOperator, result, arguments: tuple, named: dict
) -> None:
    """Note on an error the rule that raised it, and arguments it cannot take.

    Raises
    ------
    TypeError
        If the rule cannot be called with the operator's result and arguments.
    """
    for function in filter(callable, rule):
        signature = inspect.signature(function)
        try:
            signature.bind(result, *arguments, **named)
        except TypeError:
            schema = getattr(operator, "_schema", None)
            names = (
                ["result", *(argument.name for argument in schema.arguments)] if schema else ["result", "*arguments"]
            )
            raise TypeError(
                f"the rule of {rule.operator} takes {signature}, but is called with ({', '.join(names)}): "
                "the operator's result, then its arguments"
            ) from error
    error.add_note(f"This happened in the rule of {rule.operator}.")


def made_of_others(types: Iterable[type], args: tuple, kwargs: dict | None) -> bool:
    """Tell whether an argument is a tensor that runs operators on tensors it holds.

    A tensor that is sharded over processes is one: it runs operators on the shard that this process holds.
    """
    for kind in types:
        if is_traceable_wrapper_subclass_type(kind):
            return True
        elif not kind.__module__.startswith("torch."):
            return any(isinstance(x, kind) and not _has_memory(x) for x in tree_leaves((args, kwargs)))
    return False


def _has_memory(tensor: Any) -> bool:
    """Tell whether a tensor has memory of its own."""
    try:
        tensor.untyped_storage().data_ptr()
    except RuntimeError:  # it was made by _make_wrapper_subclass
        return False
    return True
