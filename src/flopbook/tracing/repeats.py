"""Run operators that repeat once.

The layers of a model call the same operators on tensors of the same sizes. To
find the sizes of a result that are letters takes most of the time of a run. So
the first call of each operator is kept: a later call with equal arguments has
results of equal sizes and the same cost.
"""

from collections.abc import Callable, Hashable
from typing import Any, NamedTuple

import sympy
import torch
from torch import Tensor
from torch._ops import OpOverload
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._mode_utils import no_dispatch

from flopbook.tracing.work import Work

#: Arguments that are equal if they are of the same type and have the same value.
_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.device, torch.layout, torch.memory_format)

#: Makes a series of numbers. A model may read their values: its layers have different rates of dropout.
_SERIES = torch.ops.aten.linspace.default


class Sizes(NamedTuple):
    """A tensor without values that has the sizes of a result, and the device of that result."""

    tensor: Tensor
    device: torch.device


class Call:
    """The first of all equal calls of an operator.

    Attributes
    ----------
    results : Sizes, None, or a list or tuple of them
        The sizes of what the call returned.
    cost : Expr or None
        FLOPs of its contraction, as soon as they are known.
    """

    def __init__(self, results: Any):
        self.results = results
        self.cost: sympy.Expr | None = None


class Repeats:
    """Remember which operators ran with which arguments."""

    def __init__(self, work: Work):
        self._work = work
        self._calls: dict[Hashable, Call] = {}

    def run(self, fake: FakeTensorMode, func: OpOverload, args: tuple, kwargs: dict) -> tuple[Any, Call | None]:
        """Return what an operator returns, and the call that was kept for it if there is one."""
        self._work.run()
        if _has_values(func, args):
            with no_dispatch():
                return func(*args, **kwargs), None
        if func._schema.is_mutable:
            drawn = torch.Tag.nondeterministic_seeded in func.tags
            return (args[0] if drawn else func(*args, **kwargs)), None  # random numbers: there are no values to set
        try:
            key = func, _described(args), _described(kwargs)
        except TypeError:  # an argument that may be like no other one
            return func(*args, **kwargs), None
        if key not in self._calls:
            out = func(*args, **kwargs)
            if not _is_new(out, args):
                return out, None
            with no_dispatch():
                self._calls[key] = Call(_each(out, _sizes))
        call = self._calls[key]
        return _each(call.results, lambda kept: FakeTensor(fake, *kept)), call


def _has_values(func: OpOverload, args: tuple) -> bool:
    """Whether a result has values: a series of plain numbers, and what is made of one."""
    each = (part for arg in args for part in (arg if isinstance(arg, (list, tuple)) else (arg,)))
    tensors = [part for part in each if isinstance(part, Tensor)]
    if tensors:
        return not any(isinstance(tensor, FakeTensor) for tensor in tensors)
    return func is _SERIES and all(isinstance(arg, (int, float)) for arg in args)


def _described(value: Any) -> Hashable:
    """Describe an argument: equal descriptions lead to results of equal sizes, at the same cost."""
    if isinstance(value, Tensor):
        if getattr(value, "constant", None) is not None or value.layout != torch.strided or value.is_complex():
            raise TypeError
        sizes = *value.shape, *value.stride(), value.storage_offset()
        return value.device, value.dtype, *[size if type(size) is int else size.node.expr for size in sizes]
    if isinstance(value, _PLAIN):
        return type(value), value
    if isinstance(value, (torch.SymInt, torch.SymFloat)):
        return type(value), value.node.expr
    if isinstance(value, (list, tuple)):
        return tuple(map(_described, value))
    if isinstance(value, dict):
        return tuple((name, _described(item)) for name, item in value.items())
    raise TypeError


def _is_new(out: Any, args: tuple) -> bool:
    """Whether a result consists of new tensors without values, and of nothing else."""
    if isinstance(out, (list, tuple)):
        return all(_is_new(item, args) for item in out)
    if out is None:
        return True
    plain = type(out) is FakeTensor and out.layout == torch.strided and not out.is_complex()
    return plain and out.constant is None and not any(out is arg for arg in args)


def _each(results: Any, make: Callable) -> Any:
    """Make something of every tensor of a result."""
    if isinstance(results, (list, tuple)) and not isinstance(results, Sizes):
        return type(results)(_each(result, make) for result in results)
    return None if results is None else make(results)


def _sizes(tensor: FakeTensor) -> Sizes:
    alike = torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="meta")
    return Sizes(alike, tensor.fake_device)
