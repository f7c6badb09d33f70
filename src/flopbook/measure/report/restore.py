"""Run a step as often as needed, and leave everything as it was."""

import random
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.optimizer import Optimizer, register_optimizer_step_pre_hook


class State:
    """What models, optimizers and other objects hold now, to bring it back later.

    Kept are tensors with their gradients, wherever attributes, dictionaries
    and lists lead to one, and everything else by reference. The copies lie in
    main memory, where they take nothing of the accelerator's.
    """

    def __init__(self, *things: object):
        self._seen: dict[int, tuple[object, Callable[[], Any]]] = {}
        self._restorers: list[Callable[[], Any]] = []
        self._random_numbers = list(_random_numbers())
        self._thread = get_ident()
        for thing in things:
            self.keep(thing)

    def keep(self, thing: object) -> None:
        """Keep what an object holds now; a module's with those of all modules in it."""
        parts = thing.modules() if isinstance(thing, nn.Module) else (thing,)
        self._restorers += [self._remember(vars(part)) for part in parts]

    def keep_optimizer(self, optimizer: Optimizer, *_: object) -> None:
        """Keep an optimizer when it first steps, which is before it changes anything."""
        if get_ident() == self._thread and id(vars(optimizer)) not in self._seen:
            self.keep(optimizer)

    @torch.no_grad()
    def restore(self) -> None:
        """Bring everything back."""
        for restore in self._restorers:
            restore()
        for set_state, state in self._random_numbers:
            set_state(state)

    def _remember(self, value: Any) -> Callable[[], Any]:
        """A function that makes `value` what it is now, and returns it."""
        if id(value) not in self._seen:
            self._seen[id(value)] = value, lambda: value  # also what ends a circle
            self._seen[id(value)] = value, self._restorer(value)
        return self._seen[id(value)][1]

    def _restorer(self, value: Any) -> Callable[[], Any]:
        if isinstance(value, Tensor):
            return self._tensor(value)
        if isinstance(value, dict):
            items = {key: self._remember(item) for key, item in value.items()}
            return lambda: _refill(value, value.update, {key: restore() for key, restore in items.items()})
        if isinstance(value, list):
            elements = [self._remember(item) for item in value]
            return lambda: _refill(value, value.extend, [restore() for restore in elements])
        return lambda: value

    def _tensor(self, tensor: Tensor) -> Callable[[], Tensor]:
        data = None if tensor.is_meta else _elements(tensor).detach().to("cpu", copy=True)
        gradient = self._remember(tensor.grad) if tensor.is_leaf else None

        def restore() -> Tensor:
            if data is not None:
                _elements(tensor).copy_(data)
            if gradient:
                tensor.grad = gradient()
            return tensor

        return restore


def _elements(tensor: Tensor) -> Tensor:
    """The data alone, since for autograd nothing is written; without an expanded tensor's repetitions."""
    if tensor.layout != torch.strided:
        return tensor  # the data of a sparse tensor would be another one
    return tensor.data[tuple(slice(None if stride else 1) for stride in tensor.stride())]


def _refill(container: Any, fill: Callable, content: Any) -> Any:
    container.clear()
    fill(content)
    return container


def _random_numbers() -> Iterator[tuple[Callable, Any]]:
    """How to set each generator of random numbers, and the state that it has."""
    yield random.setstate, random.getstate()
    yield np.random.set_state, np.random.get_state()
    yield torch.set_rng_state, torch.get_rng_state()
    if torch.accelerator.is_available():
        device = torch.get_device_module()
        yield device.set_rng_state, device.get_rng_state()


@contextmanager
def as_it_was(model: nn.Module, others: Iterable[object]) -> Iterator[State]:
    """Bring back, at the end or after an error, what the block changes.

    Parameters
    ----------
    model : Module
        With its parameters, buffers, gradients, modes and other attributes.
    others : iterable of object
        What else changes, such as a learning-rate scheduler.

    Yields
    ------
    State
        Its `restore` brings everything back in between. Every optimizer that
        steps in the block is kept too, and so are random numbers.
    """
    state = State(model, *others)
    hook = register_optimizer_step_pre_hook(state.keep_optimizer)
    try:
        yield state
    finally:
        hook.remove()
        state.restore()
