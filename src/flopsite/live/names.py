"""What a cell takes from the cells above it, and what it leaves to those below.

The build asks, to tell which cells can run in the page; and the page, to run first what a cell needs.
"""

import builtins
import dis
from collections.abc import Iterator
from types import CodeType
from typing import NamedTuple

_LOADS = {"LOAD_NAME", "LOAD_GLOBAL", "LOAD_FROM_DICT_OR_GLOBALS"}
_GIVEN = {*dir(builtins), "display"}


class Names(NamedTuple):
    """Names that a cell uses before it binds them, and names that it binds."""

    used: frozenset[str] = frozenset()
    bound: frozenset[str] = frozenset()


def names(source: str) -> Names:
    r"""Read the names off a cell's bytecode, which has them in the order of execution.

    >>> found = names("x = x + step\ndef total():\n    return x * later\nlater = 2")
    >>> sorted(found.used), sorted(found.bound)
    (['step', 'x'], ['later', 'total', 'x'])
    """
    code = compile(source, "cell", "exec")
    used: set[str] = set()
    bound: set[str] = set()
    for instruction in dis.get_instructions(code):
        if instruction.opname in _LOADS and instruction.argval not in bound:
            used.add(instruction.argval)
        elif instruction.opname == "STORE_NAME":
            bound.add(instruction.argval)
    # A function looks its names up when it is called: what the cell binds further down is there by then.
    used |= set(_used_inside(code)) - bound
    return Names(frozenset(name for name in used - _GIVEN if not name.startswith("__")), frozenset(bound))


def _used_inside(code: CodeType) -> Iterator[str]:
    """Global names that functions, classes and comprehensions use, at any depth."""
    for inner in code.co_consts:
        if isinstance(inner, CodeType):
            yield from (step.argval for step in dis.get_instructions(inner) if step.opname in _LOADS)
            yield from _used_inside(inner)
