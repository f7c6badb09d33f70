"""Observe a step while it runs: the model's first call, and the optimizers that step."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import Parameter, signature
from threading import get_ident
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook
from torch.utils._pytree import tree_leaves

from flopbook import checks
from flopbook.measure.machine import FORMATS, promised_peak


@dataclass
class Seen:
    """Holds the tensors of the model's first call, and the optimizers that stepped."""

    inputs: list[Tensor] | None = None
    optimizers: list[Optimizer] = field(default_factory=list)


@contextmanager
def observe(model: nn.Module) -> Iterator[Seen]:
    """Observe how the block calls a model, and which optimizers step.

    Parameters
    ----------
    model : Module
        Compiled or not.

    Yields
    ------
    Seen
        Filled while the block runs.
    """
    seen, thread = Seen(), get_ident()

    def called(module: nn.Module, arguments: tuple, keywords: Mapping) -> None:
        if seen.inputs is None:
            seen.inputs = [leaf.detach() for leaf in tree_leaves((arguments, keywords)) if isinstance(leaf, Tensor)]

    def stepped(optimizer: Optimizer, *_: object) -> None:
        if get_ident() == thread and optimizer not in seen.optimizers:
            seen.optimizers.append(optimizer)

    original = getattr(model, "_orig_mod", model)  # a compiled module wraps the model
    hooks = (
        original.register_forward_pre_hook(called, with_kwargs=True),
        register_optimizer_step_post_hook(stepped),
    )
    try:
        yield seen
    finally:
        for hook in hooks:
            hook.remove()


@dataclass(frozen=True)
class Configuration:
    """Describes what was measured, and where.

    Attributes
    ----------
    model, device : str
        The model's class, and the devices of its parameters.
    dtypes : tuple of str
        Number formats of the parameters.
    inputs : tuple of str
        Type and shape of each tensor that the model was first called with.
    optimizers : tuple of str
        Class and settings of each optimizer that stepped.
    torch, threads : str, int
        PyTorch's version and its threads on the processor.
    """

    model: str
    device: str
    dtypes: tuple[str, ...]
    inputs: tuple[str, ...]
    optimizers: tuple[str, ...]
    torch: str
    threads: int


def configuration(model: nn.Module, seen: Seen) -> Configuration:
    """Describe a model and what was observed of its step."""
    tensors = list(model.parameters()) or seen.inputs or []
    devices = sorted({str(tensor.device) for tensor in tensors})
    return Configuration(
        model=type(getattr(model, "_orig_mod", model)).__name__,
        device=", ".join(devices),
        dtypes=tuple(sorted({_dtype(tensor) for tensor in tensors})),
        inputs=tuple(f"{_dtype(tensor)}{list(tensor.shape)}" for tensor in seen.inputs or []),
        optimizers=tuple(_settings(optimizer) for optimizer in seen.optimizers),
        torch=torch.__version__,
        threads=torch.get_num_threads(),
    )


def kind_of_device(model: nn.Module, seen: Seen) -> str:
    """Return the type of the device that a model runs on, such as ``cuda``."""
    return next((tensor.device.type for tensor in (*model.parameters(), *(seen.inputs or []))), "cpu")


def format_of(model: nn.Module) -> torch.dtype:
    """Return the type of most parameters that data sheets know; that of PyTorch where there are none."""
    sizes: Counter[torch.dtype] = Counter()
    for parameter in model.parameters():
        if parameter.dtype in FORMATS.values():
            sizes[parameter.dtype] += parameter.numel()
    return max(sizes, key=sizes.__getitem__, default=torch.get_default_dtype())


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


def _settings(optimizer: Optimizer) -> str:
    """Write an optimizer's class and its settings, without those that are off."""
    group: dict[str, Any] = optimizer.param_groups[0]
    given = ", ".join(f"{name}={group[name]}" for name in optimizer.defaults if group[name])
    return f"{type(optimizer).__name__}({given})"


def batch(model: nn.Module, seen: Seen, samples: int | None) -> int:
    """Return the samples as given, else the leading axis of the model's first tensor."""
    name = type(getattr(model, "_orig_mod", model)).__name__
    if seen.inputs is None:
        raise ValueError(f"the step never called {name}: give the model that it calls, as in model(x)")
    tensors = [tensor for tensor in seen.inputs if tensor.dim()]
    if not (samples or tensors):
        raise ValueError(f"{name} was called without a tensor that has axes: give samples=...")
    if not (samples or len(tensors[0])):
        raise ValueError(f"{name} was called with {_dtype(tensors[0])}{list(tensors[0].shape)}: give it a sample")
    return samples or len(tensors[0])


def count_tokens(seen: Seen, tokens: int | None) -> int | None:
    """Return the tokens as given, else the elements of the model's first tensor if those are integers."""
    for tensor in seen.inputs or []:
        if tensor.dim():  # the first one; a table takes integers of these two types and no others
            return tensor.numel() if tokens is None and tensor.dtype in (torch.int32, torch.int64) else tokens
    return tokens


def _wanted(step: Callable) -> str:
    """Name the arguments that a step needs; none where Python does not know its signature."""
    try:
        parameters = signature(step.forward if isinstance(step, nn.Module) else step).parameters.values()
    except (TypeError, ValueError):
        return ""
    optional = Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD
    return ", ".join(p.name for p in parameters if p.default is Parameter.empty and p.kind not in optional)


def _check_model(model: object) -> None:
    if not isinstance(model, nn.Module):
        raise TypeError(f"model={model!r} is not a torch.nn.Module: give the model that the step calls")
    if isinstance(model, torch.jit.ScriptModule):  # a step is observed by hooks, which a scripted module refuses
        raise TypeError(f"{model.original_name} is TorchScript: give the model, and let the step call it, unscripted")
    if any(map(is_lazy, model.parameters())):
        raise ValueError(f"{type(model).__name__} has parameters without a size yet: call it once before")


def check_peak(device: str | None, dtype: str | torch.dtype | None, model: nn.Module) -> None:
    """Refuse a device whose data sheet is not known, and a format that no device has."""
    if device is not None:
        promised_peak(device, dtype or format_of(model))
    elif isinstance(dtype, str):
        checks.one_of("dtype", dtype, FORMATS)
    elif dtype is not None and dtype not in FORMATS.values():
        raise ValueError(f"dtype={checks.quoted(dtype)} is not a format of data sheets: write one such as 'bf16'")


def check(step: object, model: object, samples: object, tokens: object, restore: object) -> None:
    """Refuse what cannot be measured, and say what to give instead."""
    if torch.autograd._profiler_enabled():  # a second profiler ends the process
        raise RuntimeError("torch.profiler runs already: call Report.measure outside of its with block")
    _check_model(model)
    if wanted := _wanted(checks.function(step, "Report.measure(lambda: ..., model=model)")):
        name = getattr(step, "__name__", type(step).__name__)
        raise TypeError(f"{name} wants {wanted}, but a step takes nothing: write lambda: step(...) instead")
    for name, number in (("samples", samples), ("tokens", tokens)):
        if number is not None and (not isinstance(number, int) or isinstance(number, bool) or number < 1):
            raise ValueError(f"{name}={number!r}: give how many {name} a step takes, 1 or more")
    if not isinstance(restore, Collection):
        raise TypeError(f"restore={restore!r} is not a list: write restore=[...]")
    for thing in restore:
        if not hasattr(thing, "__dict__"):
            raise TypeError(f"restore: {thing!r} has no attributes to bring back: give objects such as a scheduler")
