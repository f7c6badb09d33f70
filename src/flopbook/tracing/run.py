"""One run of a model on fake tensors: which operators it calls, and what they cost."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import ExitStack
from copy import deepcopy
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from flopbook.measure.counting.nodes import recomputes
from flopbook.measure.operators.lookup import find_rule
from flopbook.measure.operators.registry import FOUND, MOVES
from flopbook.tracing.calls import Cell, Frame, Frames
from flopbook.tracing.likeness import described
from flopbook.tracing.patches import SHORT, surroundings
from flopbook.tracing.repeats import Twins
from flopbook.tracing.sizes import Fixes, Letters

_current_node = torch._C._current_autograd_node
_CPU = torch.device("cpu")
_DEVICE = torch.ops.prim.device.default

#: What makes a series of numbers, whose values a model may read: the rates of dropout of its layers.
_SERIES = torch.ops.aten.linspace.default

#: Products whose factors must be of one type.
_OF_ONE_TYPE = {getattr(torch.ops.aten, name).default for name in ("mm", "addmm", "bmm", "baddbmm")}

#: How to write what `trace` takes, and what it has to return.
_HINTS = {
    "build": "D, F: nn.Linear(D, F), or lambda: model for one that was made before",
    "inputs": "B, D: torch.empty(B, D)",
}
_GIVES = {"build": "a model", "inputs": "a tensor, a tuple of arguments, or a dictionary of named ones"}


class _Making(TorchDispatchMode):
    """Makes a model quickly: what an operator gives, it gives to the same sizes again without being asked.

    Random numbers are not drawn: parameters have no values. A short series of plain numbers has.
    """

    def __init__(self, fake: FakeTensorMode, made: dict[Hashable, Tensor]):
        super().__init__()
        self._fake, self._made = fake, made

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            drawn = torch.Tag.nondeterministic_seeded in func.tags
            return args[0] if drawn else func(*args, **kwargs)
        key = func, described(args), described(kwargs)
        if key in self._made:
            return FakeTensor(self._fake, self._made[key], _CPU)
        out = _run(func, args, kwargs)
        if func is _SERIES and all(isinstance(n, (int, float)) for n in args) and out.numel() <= SHORT:
            with no_dispatch():
                values = func(*args, **kwargs)
            return self._fake.fake_tensor_converter.from_real_tensor(self._fake, values, make_constant=True)
        if type(out) is FakeTensor and out.fake_device == _CPU and out.constant is None:
            with no_dispatch():
                self._made[key] = torch.empty_strided(out.shape, out.stride(), dtype=out.dtype, device="meta")
        return out


class _Counting(TorchDispatchMode):
    """Notes what every contraction costs, in the frame it belongs to."""

    supports_higher_order_operators = True

    def __init__(self, frames: Frames, letters: Letters):
        super().__init__()
        self._frames, self._letters = frames, letters
        self.uncounted: defaultdict[str, int] = defaultdict(int)
        self.operators = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is _DEVICE:
            return args[0].fake_device
        kwargs = kwargs or {}
        rule = FOUND.get(func) or find_rule(func)
        if rule is None:
            return self._without_rule(func, args, kwargs)
        self.operators += 1
        if func in _OF_ONE_TYPE:
            _refuse_mixed(func, args)
        out = _run(func, args, kwargs)
        if rule is not MOVES and rule.contraction and _has_numbers(out):
            kwargs.pop("out", None)
            phase, frame = self._place()
            cost = self._letters.read(rule.contraction(out, *args, **kwargs))
            frame.own[Cell(phase, frame.path, rule.operator)].append(cost)
        return out

    def _without_rule(self, func, args, kwargs):
        schema = getattr(func, "_schema", None)
        if schema and any("Tensor" in str(result.type) for result in schema.returns):  # others tell a shape
            with self:
                out = func.decompose(*args, **kwargs)
            if out is not NotImplemented:
                return out
        out = func(*args, **kwargs)
        if _has_numbers(out):
            self.uncounted[schema.name if schema else str(func)] += 1
        return out

    def _place(self) -> tuple[str, Frame]:
        node = _current_node()
        if node is None:
            return "forward", self._frames.top
        if recomputes(node):
            return "recomputed", self._frames.top
        return "backward", self._frames.made(node)


def _run(func, args, kwargs):
    """Run an operator; where its kernel in C++ wants plain numbers, the one in Python."""
    try:
        return func(*args, **kwargs)
    except (Fixes, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "SymInt" not in str(error):
            raise
        with enable_python_dispatcher():
            return func(*args, **kwargs)


def _refuse_mixed(func, args) -> None:
    """Let PyTorch refuse factors of unlike types; without data it doesn't look at them."""
    if len({factor.dtype for factor in args if isinstance(factor, Tensor)}) > 1:
        with no_dispatch():
            func(*(torch.ones([1] * n.ndim, dtype=n.dtype) if isinstance(n, Tensor) else n for n in args))


def _has_numbers(out) -> bool:
    """Whether any result is of floating-point or complex numbers."""
    return any(t.is_floating_point() or t.is_complex() for t in tensors(out))


def tensors(value: Any) -> Iterator[Tensor]:
    """All tensors in nested tuples, lists, dictionaries and data classes."""
    if isinstance(value, Tensor):
        yield value
        return
    if is_dataclass(value) and not isinstance(value, (type, Mapping)):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)


class Run:
    """A model, built at given sizes and run once forward and backward.

    Parameters
    ----------
    build, inputs : callable
        Make the model and its inputs.
    sizes : mapping of str to int or SymInt
        The size of every letter.
    letters : Letters
        Answers questions about sizes that are letters.
    twins : Twins
        Knows the calls of modules that ran before.
    """

    def __init__(self, build: Callable, inputs: Callable, sizes: Mapping[str, Any], letters: Letters, twins: Twins):
        self.frames = Frames()
        counting = _Counting(self.frames, letters)
        with ExitStack() as stack:
            stack.enter_context(surroundings())
            fake = FakeTensorMode(shape_env=letters, static_shapes=True, allow_non_fake_inputs=True)
            fake.cache_enabled = False  # to look sizes up that are letters takes longer than to run the operator
            stack.enter_context(fake)
            with _Making(fake, twins.made):
                model = _call(build, "build", sizes)
                arguments, named = _arguments(_call(inputs, "inputs", sizes))
            self.given = {size for tensor in tensors((arguments, named)) for size in letters.in_shape(tensor)}
            if isinstance(model, nn.Module):
                model = _without_data(model, fake)
                self.frames.name(model)
            stack.enter_context(twins.standing_in(self.frames))
            stack.enter_context(counting)
            _backward(model(*arguments, **named))
        self.costs = self.frames.root.costs()
        self.uncounted = dict(counting.uncounted)
        self.calls = counting.operators + self.frames.root.calls


def letters_of(function: Callable, role: str) -> dict[str, bool]:
    """The letters that a function takes, and which of them need a size; those with a default can do without.

    >>> letters_of(lambda B, D, bias=True: None, "build")
    {'B': True, 'D': True, 'bias': False}
    """
    if not callable(function) or isinstance(function, nn.Module):
        raise TypeError(f"{role} is no function but a {type(function).__name__}: write {role}=lambda {_HINTS[role]}")
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{parameter} of {role} is no letter: write a parameter for each letter, such as B, D")
    return {name: parameter.default is parameter.empty for name, parameter in parameters.items()}


def _call(function: Callable, role: str, sizes: Mapping[str, Any]) -> Any:
    made = function(**{name: sizes[name] for name in letters_of(function, role) if name in sizes})
    is_array = hasattr(made, "__array__") and not isinstance(made, Tensor)
    if made is None or is_array or (role == "build" and not callable(made)):
        raise TypeError(f"{role} returns {_named(made)}: let it return {_GIVES[role]}")
    return made


def _named(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__name__}"


def _without_data(model: nn.Module, fake: FakeTensorMode) -> nn.Module:
    """The model itself, if it was made here; of one that was there before, a copy on fake tensors."""
    state = [*model.parameters(), *model.buffers()]
    if all(isinstance(tensor, FakeTensor) for tensor in state):
        return model
    return deepcopy(model, {id(tensor): fake.from_tensor(tensor) for tensor in state})


def _arguments(given: Any) -> tuple[tuple, dict[str, Any]]:
    """What to call a model with: one argument, a tuple of them, or a dictionary of named ones."""
    if isinstance(given, dict):
        return (), given
    return (given if isinstance(given, tuple) else (given,)), {}


def _backward(answer: Any) -> None:
    """The backward pass of the sum of all results."""
    results = [t for t in tensors(answer) if t.is_floating_point() and t.requires_grad]
    if results:
        torch.autograd.backward(results, [torch.ones_like(t) for t in results])
