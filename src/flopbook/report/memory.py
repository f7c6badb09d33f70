"""Bytes that a training step holds."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from torch import Tensor, nn
from torch.optim.optimizer import Optimizer
from torch.utils._pytree import tree_leaves


class Memory(NamedTuple):
    """Bytes after a step, and at its height.

    Attributes
    ----------
    parameters, buffers, gradients : int
        The model's.
    optimizer : int
        State of the optimizers that stepped.
    peak : int or None
        The most that the step allocates beyond what was there before it; None
        where it was not run for that.
    """

    parameters: int
    buffers: int
    gradients: int
    optimizer: int
    peak: int | None


def memory(model: nn.Module, optimizers: Iterable[Optimizer], peak: int | None) -> Memory:
    """Bytes that a model and its optimizers hold now."""
    parameters = list(model.parameters())
    states = [tensor for optimizer in optimizers for tensor in tree_leaves(list(optimizer.state.values()))]
    return Memory(
        parameters=_bytes(parameters),
        buffers=_bytes(model.buffers()),
        gradients=_bytes(parameter.grad for parameter in parameters),
        optimizer=_bytes(states),
        peak=peak,
    )


def _bytes(values: Iterable[Any]) -> int:
    """Bytes of all tensors among the values, each counted once."""
    tensors = {id(value): value for value in values if isinstance(value, Tensor)}
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())


def peak_of(events: Iterable[Mapping[str, Any]]) -> int:
    """The most bytes allocated at once on one device, beyond those at the start, by a trace's memory events."""
    allocated: defaultdict[tuple[int, int], int] = defaultdict(int)
    peak = 0
    for event in events:
        if event["name"] == "[memory]":
            noted = event["args"]
            device = noted["Device Type"], noted["Device Id"]
            allocated[device] += noted["Bytes"]
            peak = max(peak, allocated[device])
    return peak
