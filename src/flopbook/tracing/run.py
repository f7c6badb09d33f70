"""Run a model once on tensors without data, and note what its operators cost."""

import inspect
from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from copy import deepcopy
from typing import Any

import sympy
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode

from flopbook.measure.counting.modules import Places, RunningModules
from flopbook.measure.one_call import run_backward, tensors
from flopbook.measure.operators.lookup import find_rule, of_the_book
from flopbook.tracing.costs import Cell, Costs
from flopbook.tracing.patches import surroundings
from flopbook.tracing.repeats import Repeats
from flopbook.tracing.sizes import expression_of, letters_in

_current_node = torch._C._current_autograd_node
_DEVICE = torch.ops.prim.device.default

#: Products whose factors must be of one type.
_OF_ONE_TYPE = {getattr(torch.ops.aten, name).default for name in ("mm", "addmm", "bmm", "baddbmm")}

#: How to write what `trace` takes, and what it has to return.
_HINTS = {
    "build": "D, F: nn.Linear(D, F), or lambda: model for one that was made before",
    "inputs": "B, D: torch.empty(B, D)",
}
_GIVES = {"build": "a model", "inputs": "a tensor, a tuple of arguments, or a dictionary of named ones"}


class _Operators(TorchDispatchMode):
    """Run every operator, and note the cost of every contraction, with its phase and module."""

    supports_higher_order_operators = True

    def __init__(self, fake: FakeTensorMode, repeats: Repeats, modules: RunningModules):
        super().__init__()
        self._fake, self._repeats, self._modules = fake, repeats, modules
        self.start_again()

    def start_again(self) -> None:
        """Forget all that was noted."""
        self.costs: defaultdict[Cell, list[sympy.Expr]] = defaultdict(list)
        self.uncounted: defaultdict[str, int] = defaultdict(int)
        self.number = 0

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # nothing is compiled during a trace, and the default wraps every call

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is _DEVICE:
            return args[0].fake_device
        kwargs = kwargs or {}
        rule = find_rule(func)
        if rule is None:
            return self._without_rule(func, args, kwargs)
        self.number += 1
        if func in _OF_ONE_TYPE:
            _refuse_mixed(func, args)
        out, call = self._repeats.run(self._fake, func, args, kwargs)
        place = self._place()
        if rule.contraction and (_has_numbers(out) or not of_the_book(rule.contraction)):
            cost = call.cost if call else None
            if cost is None:
                if out is not None:
                    kwargs.pop("out", None)  # that is the result, which a rule gets as its first argument
                cost = expression_of(rule.contraction(out, *args, **kwargs))
            if call:
                call.cost = cost
            self.costs[Cell(*place, rule.operator)].append(cost)
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

    def _place(self) -> tuple[str, str]:
        node = _current_node()
        return ("forward", self._modules.path) if node is None else self._modules.place(node)


def _refuse_mixed(func, args) -> None:
    """Let PyTorch refuse factors of unlike types; without data it doesn't look at them."""
    if len({factor.dtype for factor in args if isinstance(factor, Tensor)}) > 1:
        with no_dispatch():
            func(*(torch.ones([1] * n.ndim, dtype=n.dtype) if isinstance(n, Tensor) else n for n in args))


def _has_numbers(out) -> bool:
    """Tell whether any result has floating-point or complex numbers."""
    return any(t.is_floating_point() or t.is_complex() for t in tensors(out))


class Run:
    """Build a model at given sizes, and run it once forward and backward.

    Parameters
    ----------
    build, inputs : callable
        Make the model and its inputs.
    sizes : mapping of str to int or SymInt
        The size of every letter.
    repeats : Repeats
        Knows the operators that ran before.

    Attributes
    ----------
    costs : dict of Cell to Expr
        FLOPs of all contractions, by phase, module and operator.
    given : set of Symbol
        The letters in the sizes of the inputs.
    uncounted : dict of str to int
        Calls of every operator that no rule is known for.
    calls : int
        How many operators ran.
    """

    def __init__(self, build: Callable, inputs: Callable, sizes: Mapping[str, Any], repeats: Repeats):
        with ExitStack() as stack:
            stack.enter_context(surroundings(any(isinstance(size, torch.SymInt) for size in sizes.values())))
            fake = FakeTensorMode(allow_non_fake_inputs=True)
            fake.cache_enabled = False  # to look sizes up that are letters takes longer than to run the operator
            stack.enter_context(fake)
            running = RunningModules(places := Places())
            operators = stack.enter_context(_Operators(fake, repeats, running))
            model = _call(build, "build", sizes)
            arguments, named = _arguments(_call(inputs, "inputs", sizes))
            operators.start_again()  # what the model is made of is not counted
            self.given = {size for tensor in tensors((arguments, named)) for size in letters_in(tensor)}
            if isinstance(model, nn.Module):
                model = _without_data(model, fake)
            stack.callback(register_module_forward_pre_hook(lambda module, *_: running.start(module)).remove)
            stop = register_module_forward_hook(lambda _, *seen: running.stop(*seen), always_call=True)
            stack.callback(stop.remove)
            run_backward(model(*arguments, **named))
        self.costs = _from_the_model(operators.costs, places, model)
        self.uncounted, self.calls = dict(operators.uncounted), operators.number


def _from_the_model(costs: Mapping[Cell, list[sympy.Expr]], places: Places, model: Callable) -> Costs:
    """Add up the costs; paths begin within the model."""
    root = next((path for path, module in places.modules.items() if module is model), "")
    return {
        cell._replace(module=cell.module.removeprefix(root).removeprefix(".")): sympy.Add(*found)
        for cell, found in costs.items()
    }


def letters_of(function: Callable, role: str) -> dict[str, bool]:
    """Return the letters that a function takes, and which of them need a size: those without a default.

    >>> letters_of(lambda B, D, bias=True: None, "build")
    {'B': True, 'D': True, 'bias': False}
    """
    if not callable(function) or isinstance(function, nn.Module):
        raise TypeError(f"{role} is not a function but a {type(function).__name__}: write {role}=lambda {_HINTS[role]}")
    parameters = inspect.signature(function).parameters
    for parameter in parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise TypeError(f"{parameter} of {role} is not one letter: write a parameter for each letter, such as B, D")
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
    """Return the model if it was made here; of one that was there before, a copy without data."""
    state = [*model.parameters(), *model.buffers()]
    if all(isinstance(tensor, FakeTensor) for tensor in state):
        return model
    return deepcopy(model, {id(tensor): fake.from_tensor(tensor) for tensor in state})


def _arguments(given: Any) -> tuple[tuple, dict[str, Any]]:
    """Return the arguments to call a model with, and the named ones."""
    if isinstance(given, dict):
        return (), given
    return (given if isinstance(given, tuple) else (given,)), {}
