"""Weigh a training step by formula, tensor by tensor, and by the device's allocator."""

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from flopbook.labs.accelerator.clock import Clock
from flopbook.labs.accelerator.gpt2 import SMALL, make_step, predicted
from flopbook.measure.memory import held_bytes, weigh

_ROUNDED_TO = 512  # bytes: PyTorch's allocator rounds a tensor up to a multiple of this


def measure(device: str, clock: Clock) -> Mapping[str, Any]:
    """Weigh the step of a small GPT-2 with and without checkpoints, in float32."""
    sizes = {**SMALL, "L": 2, "V": 4096, "T": 128}
    return {
        "sizes": {**sizes, "B": 2},
        "rounded_to_bytes": _ROUNDED_TO,
        "plain": _weighed(sizes, 2, device, checkpointed=False),
        "checkpointed": _weighed(sizes, 2, device, checkpointed=True),
    }


def _weighed(sizes: Mapping[str, int], B: int, device: str, checkpointed: bool) -> dict[str, Any]:
    before = _allocated(device)
    step = make_step(sizes, B, device, checkpointed=checkpointed)
    batch = 2 * 8 * B * sizes["T"]  # tokens and targets
    made = _allocated(device)
    loss = step.forward()
    forward = _allocated(device)
    loss.backward()
    del loss
    step.optimizer.step()
    after = _allocated(device)
    parameters = list(step.model.parameters())
    weighed = weigh(step.run, step.model, [step.optimizer])
    numbers = predicted(sizes, B)
    return {
        "predicted": {
            "parameters": 4 * numbers["parameters"],
            "gradients": 4 * numbers["parameters"],
            "optimizer": 8 * numbers["parameters"] + 4 * len(parameters),
            **({} if checkpointed else {"activations": 4 * numbers["activations"] + batch}),
        },
        "weighed": weighed._asdict(),
        "allocator": {
            "parameters and batch": _difference(made, before),
            "after forward": _difference(forward, made),
            "gradients and optimizer": _difference(after, made),
        },
        "rounded": {
            "parameters": _rounded(parameters),
            "optimizer": _rounded(value for state in step.optimizer.state.values() for value in state.values()),
        },
        "held_bytes": held_bytes(step.model, step.optimizer),
    }


def _allocated(device: str) -> dict[str, int] | None:
    """Read the bytes that tensors requested, and those the allocator gave; None on other devices."""
    if device != "cuda":
        return None
    torch.cuda.synchronize()
    stats = torch.cuda.memory_stats()
    return {name: stats.get(f"{name}_bytes.all.current", 0) for name in ("requested", "allocated")}


def _difference(after: dict[str, int] | None, before: dict[str, int] | None) -> dict[str, int] | None:
    return {name: after[name] - before[name] for name in after} if after and before else None


def _rounded(tensors: Iterable[Tensor]) -> int:
    """Add up the bytes of tensors, each rounded up as the allocator does.

    >>> _rounded([torch.zeros(3), torch.zeros(129)])
    1536
    """
    return sum(-(-tensor.nbytes // _ROUNDED_TO) * _ROUNDED_TO for tensor in tensors)
