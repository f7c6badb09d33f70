"""Restore what a step changes, so that a step can run many times."""

import random
import sys
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook

from flopbook.measure.memory import unwrapped


class State:
    """Keeps what models, optimizers and other objects hold now, to restore it later.

    Tensors and their gradients are copied, wherever attributes, dictionaries
    and lists lead to one; everything else is kept by reference. The copies are
    in main memory, so that they take none of the accelerator's.

    Attributes
    ----------
    lost : dict of str to Exception
        What could not be restored, and why.
    """

    def __init__(self, *things: object):
        self.lost: dict[str, Exception] = {}
        self._seen: dict[int, tuple[object, Callable[[], Any]]] = {}
        self._restorers: list[Callable[[], Any]] = []
        self._random_numbers = list(_random_numbers())
        self._thread = get_ident()
        for thing in things:
            self.keep(thing)

    def keep(self, thing: object) -> None:
        """Keep what an object holds now; of a module, also what its submodules hold."""
        name = type(thing).__name__
        parts = dict(thing.named_modules(prefix=name)) if isinstance(thing, nn.Module) else {name: thing}
        self._restorers += [self._remember(vars(part), path) for path, part in parts.items()]

    def keep_optimizer(self, optimizer: Optimizer, *_: object) -> None:
        """Keep an optimizer before its first step, when it has not changed anything."""
        if get_ident() == self._thread and id(vars(optimizer)) not in self._seen:
            self.keep(optimizer)

    @torch.no_grad()
    def restore(self) -> None:
        """Restore everything; note in `lost` what cannot be restored."""
        for restore in self._restorers:
            restore()
        for set_state, state in self._random_numbers:
            set_state(state)

    def _remember(self, value: Any, name: str) -> Callable[[], Any]:
        """Return a function that restores `value` to what it is now, and returns it."""
        if id(value) not in self._seen:
            self._seen[id(value)] = value, lambda: value  # an object that contains itself ends here
            self._seen[id(value)] = value, self._restorer(value, name)
        return self._seen[id(value)][1]

    def _restorer(self, value: Any, name: str) -> Callable[[], Any]:
        if isinstance(value, Tensor):
            restore = self._tensor(value, name)
        elif isinstance(value, dict):
            items = {key: self._remember(item, f"{name}.{key}") for key, item in value.items()}
            restore = lambda: _refill_dict(value, {key: restored() for key, restored in items.items()})  # noqa: E731
        elif isinstance(value, (list, deque)):
            elements = [self._remember(item, f"{name}[{place}]") for place, item in enumerate(value)]
            restore = lambda: _refill_sequence(value, [restored() for restored in elements])  # noqa: E731
        elif isinstance(value, set):
            content = set(value)
            restore = lambda: _refill_set(value, content)  # noqa: E731
        else:
            return lambda: value

        def restored_or_noted() -> Any:
            try:
                restore()
            except Exception as error:  # of any class: everything else is restored even so
                self.lost[name] = error
            return value

        return restored_or_noted

    def _tensor(self, tensor: Tensor, name: str) -> Callable[[], object]:
        copies = [
            (part, _elements(part).detach().to("cpu", copy=True)) for part in unwrapped(tensor) if _has_elements(part)
        ]
        gradient = self._remember(tensor.grad, f"{name}.grad") if _is_leaf(tensor) else None
        trained = tensor.requires_grad

        def restore() -> None:
            for part, copy in copies:
                _elements(part).copy_(copy)
            if gradient:
                tensor.grad = gradient()
                tensor.requires_grad_(trained)

        return restore


def _is_leaf(tensor: Tensor) -> bool:
    try:
        return tensor.is_leaf
    except RuntimeError:  # a view of a changed tensor, which FullyShardedDataParallel leaves in modules
        return False


def _has_elements(tensor: Tensor) -> bool:
    """Tell whether there is data, as not on the meta device or in released shards."""
    return not tensor.is_meta and (tensor.layout != torch.strided or tensor.untyped_storage().nbytes() > 0)


def _elements(tensor: Tensor) -> Tensor:
    """Return the data, hidden from autograd, with an expanded tensor's repetitions once."""
    if tensor.layout != torch.strided:
        return tensor  # .data of a sparse tensor is a different tensor
    return tensor.data[tuple(slice(None if stride else 1) for stride in tensor.stride())]


# A container that still holds the same is not touched: many configuration classes refuse any change.


def _refill_dict(value: dict, content: dict) -> None:
    if _same(value, content) and _same(value.values(), content.values()):
        return
    value.update(content)  # add before removing, so that nothing is lost where the dictionary's class refuses
    for key in [key for key in value if key not in content]:
        del value[key]
    if not _same(value, content):  # in another order
        value.clear()
        value.update(content)


def _refill_sequence(value: list | deque, content: list) -> None:
    if not _same(value, content):
        value.extend(content)  # add before removing, so that nothing is lost where the class refuses
        while len(value) > len(content):
            del value[0]


def _refill_set(value: set, content: set) -> None:
    if value != content:
        value |= content
        value &= content


def _same(values: Iterable[Any], content: Iterable[Any]) -> bool:
    return [*map(id, values)] == [*map(id, content)]


def _random_numbers() -> Iterator[tuple[Callable, Any]]:
    """Yield how to set each generator of random numbers, with its state now."""
    yield random.setstate, random.getstate()
    yield np.random.set_state, np.random.get_state()
    yield torch.set_rng_state, torch.get_rng_state()
    if torch.accelerator.is_available():
        device = torch.get_device_module()
        yield device.set_rng_state, device.get_rng_state()


@contextmanager
def restoring(model: nn.Module, others: Iterable[object]) -> Iterator[State]:
    """Restore what the block changes, at its end or after an error.

    Parameters
    ----------
    model : Module
        Its parameters, buffers, gradients, modes and other attributes are
        restored. Of a sharded model, each process restores its own shards.
    others : iterable of object
        Other objects that change, such as a learning-rate scheduler.

    Yields
    ------
    State
        Its `restore` restores everything in between. Every optimizer that
        steps in the block is kept too, and so are the random numbers.

    Warns
    -----
    UserWarning
        If something could not be restored; everything else was.
    """
    _shard(model)
    state = State(model, *others)
    hook = register_optimizer_step_pre_hook(state.keep_optimizer)
    try:
        yield state
    finally:
        hook.remove()
        _shard(model)
        state.restore()
        if state.lost:
            listed = ", ".join(f"{name} ({type(error).__name__}: {error})" for name, error in state.lost.items())
            warnings.warn(f"not restored: {listed}. Everything else is as it was before", stacklevel=4)


def _shard(model: nn.Module) -> None:
    """Release what fully_shard gathered for a step, since the shards are what is restored."""
    if fsdp := sys.modules.get("torch.distributed.fsdp"):
        for module in model.modules():
            if isinstance(module, fsdp.FSDPModule):
                module.reshard()
