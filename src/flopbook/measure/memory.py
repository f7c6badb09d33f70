"""Bytes that a training step holds."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim.optimizer import Optimizer
from torch.utils._python_dispatch import is_traceable_wrapper_subclass
from torch.utils._pytree import tree_leaves

from flopbook.measure.counting.compiled import eager_when_compiled


class Memory(NamedTuple):
    """Bytes of each kind.

    Attributes
    ----------
    parameters, buffers, gradients : int
        The model's, after a step.
    optimizer : int
        State of the optimizers that stepped.
    activations : int
        The most that autograd keeps at one time for the backward pass, without
        parameters and buffers. What a checkpoint keeps for itself is left out.
    peak : int or None
        The most that was allocated on the accelerator during a step, whatever
        for; None where the device does not tell, as processors don't.
    """

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    activations: int
    peak: int | None


class _Kept:
    """A tensor for as long as autograd keeps it."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor


class _Scale:
    """Weighs what autograd keeps; tensors that share a storage weigh once."""

    def __init__(self, model: nn.Module):
        # held, so that nothing new takes the address of one that the step replaces
        held = (*model.parameters(), *model.buffers())
        self._known = {_storage(part): part for tensor in held for part in _parts(tensor)}
        self._kept: Counter[int] = Counter()
        self._now = self.most = 0

    def pack(self, tensor: Tensor) -> _Kept:
        kept = _Kept(tensor)
        for part in _parts(tensor):
            storage, size = _storage(part), part.untyped_storage().nbytes()
            if storage not in self._known:
                self._now += size * (not self._kept[storage])
                self.most = max(self.most, self._now)
                self._kept[storage] += 1
                finalize(kept, self._release, storage, size).atexit = False
        return kept

    def _release(self, storage: int, size: int) -> None:
        self._kept[storage] -= 1
        self._now -= size * (not self._kept[storage])


def _parts(tensor: Tensor) -> list[Tensor]:
    """The tensors that store one: itself, or what a sparse one or one that holds others is made of."""
    if is_traceable_wrapper_subclass(tensor):
        held = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
        return [part for inner in held for part in _parts(inner)]
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in {torch.sparse_csr, torch.sparse_bsr}:
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in {torch.sparse_csc, torch.sparse_bsc}:
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def weigh(step: Callable[[], object], model: nn.Module, optimizers: Iterable[Optimizer]) -> Memory:
    """Bytes that a model, its optimizers and one run of its step hold."""
    scale, parameters = _Scale(model), list(model.parameters())
    kinds = {parameter.device.type for parameter in parameters} - {"cpu", "meta"}
    device: Any = torch.get_device_module(kinds.pop()) if kinds else None
    tells = hasattr(device, "reset_peak_memory_stats")
    if tells:
        device.reset_peak_memory_stats()
    with eager_when_compiled(), saved_tensors_hooks(scale.pack, lambda kept: kept.tensor):
        step()
    states = [tensor for optimizer in optimizers for tensor in tree_leaves(list(optimizer.state.values()))]
    return Memory(
        parameters=_bytes(parameters),
        buffers=_bytes(model.buffers()),
        gradients=_bytes(parameter.grad for parameter in parameters),
        optimizer=_bytes(states),
        activations=scale.most,
        peak=device.max_memory_allocated() if tells else None,
    )


def _bytes(values: Iterable[Any]) -> int:
    """Bytes of all tensors among the values, each counted once."""
    tensors = {id(value): value for value in values if isinstance(value, Tensor)}
    return sum(part.numel() * part.element_size() for tensor in tensors.values() for part in _parts(tensor))
