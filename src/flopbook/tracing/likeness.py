"""When two calls of modules are alike: what they are, and what they are given."""

from collections.abc import Hashable, Iterator
from functools import cache
from types import CodeType, FunctionType
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten

#: What every module has for PyTorch's own bookkeeping.
_BOOKKEEPING = vars(nn.Module()).keys() - {"training"}

#: Hooks that see a call; a module with one does more than its class says.
_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")

_PLAIN = (type(None), bool, int, float, complex, str, bytes, type, torch.dtype, torch.device, torch.layout)


class _Same:
    """An object that nothing else is like."""

    def __init__(self, value: Any):
        self.value = value

    def __eq__(self, other):
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self):
        return id(self.value)


def call_key(module: nn.Module, arguments: tuple, named: dict) -> Hashable:
    """Equal for two calls that run the same operators, as far as can be told from outside.

    Examples
    --------
    >>> first, second, third = nn.Linear(2, 3), nn.Linear(2, 3), nn.Linear(2, 4)
    >>> x = torch.ones(5, 2)
    >>> call_key(first, (x,), {}) == call_key(second, (x + 1,), {})
    True
    >>> call_key(first, (x,), {}) == call_key(third, (x,), {})
    False
    """
    leaves, structure = tree_flatten((arguments, named))
    first: dict[int, int] = {}
    given = tuple((first.setdefault(id(leaf), number), described(leaf)) for number, leaf in enumerate(leaves))
    autocast = torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu")
    recomputing = torch._C._current_autograd_node() is not None
    surroundings = torch.is_grad_enabled(), autocast, recomputing
    return surroundings, str(structure), given, tuple(_parts(module))


def is_hooked(module: nn.Module) -> bool:
    """Whether hooks see the calls of a module or of one within it."""
    return any(getattr(part, hooks) for part in module.modules() for hooks in _HOOKS)


def _parts(module: nn.Module) -> Iterator[Hashable]:
    """Every module within a module, with its settings and the sizes of its parameters."""
    first: dict[int, int] = {}
    for path, part in module.named_modules(remove_duplicate=False):
        kind = type(part)
        settings = tuple(
            (name, described(value))
            for name, value in vars(part).items()
            if name not in _BOOKKEEPING
            and not (isinstance(value, (int, str)) and name not in _names_read(cast(Hashable, kind)))
        )
        tensors = tuple(
            (name, first.setdefault(id(tensor), len(first)), described(tensor))
            for name, tensor in (*part._parameters.items(), *part._buffers.items())
        )
        yield path, first.setdefault(id(part), len(first)), kind, settings, tensors


def described(value: Any) -> Hashable:
    """Equal for values that make no difference to which operators run."""
    if isinstance(value, Tensor):
        return (
            tuple(map(described, value.shape)),
            tuple(map(described, value.stride())) if value.layout == torch.strided else None,
            value.dtype,
            value.requires_grad,
        )
    if isinstance(value, torch.SymInt):
        return "size", value.node.expr
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, (list, tuple, dict)):
        return type(value), *map(described, value.items() if isinstance(value, dict) else value)
    if isinstance(value, FunctionType):
        cells = (cell.cell_contents for cell in value.__closure__ or ())
        return value.__code__, *(cell if isinstance(cell, _PLAIN) else _Same(cell) for cell in cells)
    return _Same(value)


@cache
def _names_read(kind: Hashable) -> frozenset[str]:
    """The names that a class's methods use, but for those that only make it: a layer's number may be none."""
    methods = (
        value
        for base in cast(type, kind).__mro__
        if base is not nn.Module
        for name, value in vars(base).items()
        if name not in ("__init__", "extra_repr")
    )
    codes = [method.__code__ for method in methods if isinstance(method, FunctionType)]
    names: set[str] = set()
    while codes:
        code = codes.pop()
        names.update(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, CodeType)]
    return frozenset(names)
