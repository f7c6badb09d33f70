"""Weigh a training step: bytes by kind, bytes over time, and bytes that stay."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, NamedTuple
from weakref import finalize

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.optim.optimizer import Optimizer
from torch.utils._python_dispatch import (
    TorchDispatchMode,
    is_traceable_wrapper_subclass,
    is_traceable_wrapper_subclass_type,
)
from torch.utils._pytree import tree_leaves
from torch.utils.checkpoint import _StopRecomputationError

from flopbook import checks
from flopbook.measure.counting.compiled import eager_when_compiled

_current_node = torch._C._current_autograd_node


class Memory(NamedTuple):
    """Holds the bytes of each kind, made by :func:`weigh`.

    Attributes
    ----------
    parameters, buffers, gradients : int
        Bytes of the model after a step; of a sharded model, this process's.
    optimizer : int
        Bytes of the state of the optimizers that stepped.
    after_forward : int
        Bytes kept for the backward pass when the forward pass ends, without
        parameters and buffers. A checkpoint keeps its segment's input.
    activations : int
        Most bytes kept for the backward pass at one time. A checkpoint runs
        its segment again in the backward pass, and then keeps what it did not
        keep before.
    peak : int or None
        Most bytes allocated on the accelerator during a step; None where the
        device does not tell, as a processor does not.
    """

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    after_forward: int
    activations: int
    peak: int | None


def weigh(step: Callable[[], object], model: nn.Module, optimizers: Collection[Optimizer]) -> Memory:
    """Weigh what a model, its optimizers and one run of its step hold.

    Parameters
    ----------
    step : callable
        Takes nothing; runs once.
    model : Module
        The model that the step calls.
    optimizers : collection of Optimizer
        Those that step.

    Returns
    -------
    Memory
        Bytes of each kind.

    Raises
    ------
    TypeError
        If something else than a step, a model and optimizers is given.

    Examples
    --------
    >>> layer, x = nn.Linear(5, 3), torch.ones(7, 5)
    >>> weigh(lambda: layer(x).square().sum().backward(), layer, [])._replace(peak=None)
    Memory(parameters=72, buffers=0, gradients=72, optimizer=0, after_forward=224, activations=224, peak=None)
    """
    checks.function(step, "weigh(lambda: ..., model, [optimizer])")
    if not isinstance(model, nn.Module):
        raise TypeError(f"{checks.quoted(model)} is not a torch.nn.Module: give the model that the step calls")
    if not (isinstance(optimizers, Collection) and all(isinstance(one, Optimizer) for one in optimizers)):
        raise TypeError(f"{checks.quoted(optimizers)} is not a list of optimizers: write [torch.optim.SGD(...)], or []")
    scale, parameters = _Scale(model), list(model.parameters())
    kinds = {parameter.device.type for parameter in parameters} - {"cpu", "meta"}
    device: Any = torch.get_device_module(kinds.pop()) if kinds else None
    tells = hasattr(device, "reset_peak_memory_stats")
    if tells:
        device.reset_peak_memory_stats()
    with eager_when_compiled(), scale.beside_others(), saved_tensors_hooks(scale.pack, lambda kept: kept.tensor):
        step()
    return Memory(
        parameters=held_bytes(parameters),
        buffers=held_bytes(list(model.buffers())),
        gradients=held_bytes([parameter.grad for parameter in parameters]),
        optimizer=held_bytes(*optimizers),
        after_forward=scale.after_forward,
        activations=scale.most,
        peak=device.max_memory_allocated() if tells else None,
    )


class _Kept:
    """Holds a tensor for as long as autograd keeps it."""

    def __init__(self, tensor: Tensor):
        self.tensor = tensor


class _Scale:
    """Weighs what is kept for the backward pass; a storage that tensors share weighs once."""

    def __init__(self, model: nn.Module):
        # kept here, so that no new tensor gets the address of one that the step replaces
        held = (*model.parameters(), *model.buffers())
        self._known = {_storage(part): part for tensor in held for part in parts_of(tensor)}
        self._kept: Counter[int] = Counter()
        self._now = self.most = self.after_forward = 0

    def pack(self, tensor: Tensor) -> _Kept:
        """Keep a tensor for autograd, and weigh it."""
        kept = _Kept(tensor)
        self._weigh(tensor, kept)
        return kept

    @contextmanager
    def beside_others(self) -> Iterator[None]:
        """Weigh what other hooks keep, too: only the innermost run, such as a checkpoint's."""
        enter = saved_tensors_hooks.__enter__

        def entered(hooks: saved_tensors_hooks) -> None:
            if hooks.pack_hook != self.pack:
                hooks.pack_hook = self._beside(hooks.pack_hook)
            enter(hooks)

        saved_tensors_hooks.__enter__ = entered  # type: ignore[method-assign]
        try:
            yield
        finally:
            saved_tensors_hooks.__enter__ = enter  # type: ignore[method-assign]

    def _beside(self, pack: Callable[[Tensor], Any]) -> Callable[[Tensor], Any]:
        @wraps(pack)
        def packed(tensor: Tensor) -> Any:
            try:
                result = pack(tensor)
            except _StopRecomputationError:  # this was the last one that the checkpoint needed, and it is kept, too
                self._weigh(tensor, tensor.untyped_storage())
                raise
            for leaf in tree_leaves(result):
                if isinstance(leaf, Tensor):
                    self._weigh(leaf, leaf)
            return result

        return packed

    def _weigh(self, tensor: Tensor, holder: object) -> None:
        """Weigh a tensor as long as `holder` lives."""
        if isinstance(tensor if tensor._base is None else tensor._base, nn.Parameter):
            return  # a tensor that a shard was gathered into
        for part in parts_of(tensor):
            storage, size = _storage(part), part.untyped_storage().nbytes()
            if storage not in self._known:
                self._now += size * (not self._kept[storage])
                self._kept[storage] += 1
                finalize(holder, self._release, storage, size).atexit = False
        self.most = max(self.most, self._now)
        if _current_node() is None:
            self.after_forward = max(self.after_forward, self._now)

    def _release(self, storage: int, size: int) -> None:
        self._kept[storage] -= 1
        self._now -= size * (not self._kept[storage])


def held_bytes(*things: Any) -> int:
    """Add up the bytes of all tensors in things, each counted once.

    Parameters
    ----------
    *things : Module, Optimizer, Tensor, or list or dict of them
        A module holds parameters, buffers and gradients, an optimizer its
        state. A sparse tensor weighs what it stores, a tensor that holds
        others what they store here.

    Examples
    --------
    >>> layer = nn.Linear(5, 3)
    >>> held_bytes(layer), held_bytes(layer, layer.weight, torch.ones(2))
    (72, 80)
    """
    tensors = {id(tensor): tensor for leaf in tree_leaves(things) for tensor in _tensors(leaf)}
    return sum(part.numel() * part.element_size() for tensor in tensors.values() for part in parts_of(tensor))


def _tensors(thing: Any) -> list[Tensor]:
    if isinstance(thing, nn.Module):
        gradients = [parameter.grad for parameter in thing.parameters() if parameter.grad is not None]
        return [*thing.parameters(), *thing.buffers(), *gradients]
    if isinstance(thing, Optimizer):
        return [tensor for tensor in tree_leaves(list(thing.state.values())) if isinstance(tensor, Tensor)]
    return [thing] if isinstance(thing, Tensor) else []


def unwrapped(tensor: Tensor) -> list[Tensor]:
    """List the plain tensors inside a tensor, such as a sharded one's local part."""
    if not is_traceable_wrapper_subclass(tensor):
        return [tensor]
    held = [getattr(tensor, name) for name in tensor.__tensor_flatten__()[0]]
    return [part for inner in held if isinstance(inner, Tensor) for part in unwrapped(inner)]  # a mesh is not a tensor


def parts_of(tensor: Tensor) -> list[Tensor]:
    """List the plain tensors that store a tensor's data, such as indices and values."""
    return [part for inner in unwrapped(tensor) for part in _stored(inner)]


def _stored(tensor: Tensor) -> list[Tensor]:
    if tensor.layout == torch.sparse_coo:
        return [tensor._indices(), tensor._values()]
    if tensor.layout in {torch.sparse_csr, torch.sparse_bsr}:
        return [tensor.crow_indices(), tensor.col_indices(), tensor.values()]
    if tensor.layout in {torch.sparse_csc, torch.sparse_bsc}:
        return [tensor.ccol_indices(), tensor.row_indices(), tensor.values()]
    return [tensor]


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


class MemoryProfile(NamedTuple):
    """Holds the bytes that a step allocates and frees, made by :func:`watch_memory`.

    Attributes
    ----------
    bytes : tuple of int
        Bytes after each operator, compared with before the step; the last
        value is that at the step's end.
    operators : tuple of str
        Names of the operators, in the order in which they ran.
    """

    bytes: tuple[int, ...]
    operators: tuple[str, ...]

    @property
    def peak(self) -> int:
        """Return the most bytes that are held at one time beyond those before the step."""
        return max(self.bytes)


def watch_memory(step: Callable[[], object]) -> MemoryProfile:
    """Watch the bytes of tensors over one step, after one to warm up.

    Parameters
    ----------
    step : callable
        Takes nothing.

    Returns
    -------
    MemoryProfile
        The same on every device and at every run: tensors are weighed, not
        what an allocator takes for them. What a kernel holds for itself while
        it runs is left out.

    Examples
    --------
    >>> x = torch.ones(1024)
    >>> watch_memory(lambda: (x + 1).sum())
    MemoryProfile(bytes=(4096, 4100, 0), operators=('aten::add', 'aten::sum'))
    """
    checks.function(step, "watch_memory(lambda: ...)")
    with eager_when_compiled(), _Watch() as watch:
        step()
        watch.start()
        step()
        return MemoryProfile((*watch.bytes, watch.held), tuple(watch.operators))


class _Watch(TorchDispatchMode):
    """Adds up the storages that operators make, until each is freed."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[int] = set()
        self.held = 0
        self.bytes: list[int] = []
        self.operators: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if any(map(is_traceable_wrapper_subclass_type, types)):
            return NotImplemented  # a sharded tensor runs the operator on its shard, and makes tensors on the way
        out = func(*args, **(kwargs or {}))
        for made in tree_leaves(out):
            if isinstance(made, Tensor):
                for part in parts_of(made):
                    self._note(part.untyped_storage())
        if func.namespace != "profiler":  # a label that PyTorch sets is not an operator
            self.bytes.append(self.held)
            self.operators.append(func._schema.name)
        return out

    def _note(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._known:
            self._known.add(storage._cdata)
            self.held += storage.nbytes()
            finalize(storage, self._release, storage._cdata, storage.nbytes()).atexit = False

    def _release(self, storage: int, size: int) -> None:
        self._known.discard(storage)
        self.held -= size

    def start(self) -> None:
        """Start again from the bytes that are held now."""
        self.held = 0
        self.bytes.clear()
        self.operators.clear()
