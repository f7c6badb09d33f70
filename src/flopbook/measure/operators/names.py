"""Register the book's own rules by the names of operators.

A name without a namespace is ATen's, and stands for the operator's variants
too: in place, such as ``exp_``, and over lists of tensors, such as
``_foreach_exp``. A PyTorch that lacks an operator never calls it, so a rule
for it does no harm. An operator that PyTorch makes at its first use finds its
rule, too.
"""

from collections.abc import Callable
from typing import TypeVar

from flopbook.measure.operators.registry import (
    COMMUNICATION,
    CONTRACTIONS,
    INTEGER,
    MASKED,
    POINTWISE,
    REMADE,
    TRANSCENDENTAL,
)

Function = TypeVar("Function", bound=Callable)


def qualified(name: str) -> str:
    """Return an operator's name with its namespace.

    >>> qualified("mm"), qualified("quantized::linear")
    ('aten::mm', 'quantized::linear')
    """
    return name if "::" in name else f"aten::{name}"


def bare(name: str) -> str:
    """Return the name of the plain operator of which an operator is a variant.

    >>> bare("aten::_foreach_exp_"), bare("aten::exp"), bare("mylib::step_")
    ('aten::exp', 'aten::exp', 'mylib::step_')
    """
    if not name.startswith("aten::"):
        return name
    return name.replace("::_foreach_", "::").removesuffix("_")


def _decorator(table: dict[str, Callable]) -> Callable[..., Callable[[Function], Function]]:
    def named(*names: str) -> Callable[[Function], Function]:
        def register(rule: Function) -> Function:
            table.update(dict.fromkeys(map(qualified, names), rule))
            return rule

        return register

    return named


# Decorators, one for each table of the registry: ``@contraction("mm", "bmm")``. A contraction whose result is integer
# takes integer operations by itself; `integer` is for operators that multiply integers and return other numbers. What
# is masked may be an int, a tensor that holds one and is read later, or None for unknown.
contraction = _decorator(CONTRACTIONS)
pointwise = _decorator(POINTWISE)
transcendental = _decorator(TRANSCENDENTAL)
integer = _decorator(INTEGER)
masked = _decorator(MASKED)
remade = _decorator(REMADE)
communication = _decorator(COMMUNICATION)
