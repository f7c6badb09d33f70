"""Run ranks on the processor or on GPUs, and bring what they count into the form in which the paper says it."""

from collections import defaultdict
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import distributed

from flopbook.counts.tally import Tally
from flopbook.measure.distributed import run_ranks


def carried_by(counted: Tally) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Add up calls, payload and bytes sent in a ring, for each collective and phase that carries something."""
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for transfer, sent in counted.communication.items():
        for place, value in enumerate(sent):
            sums[transfer.collective, transfer.phase][place] += value
    return {key: tuple(values) for key, values in sums.items() if values[1]}


def run_on(device: torch.device, function: Callable[..., Any], *arguments: Any, ranks: int) -> list[Any]:
    """Run a function on ranks whose tensors lie on the processor, or on a GPU for each rank, through NCCL."""
    if device.type != "cpu" and torch.accelerator.device_count() < ranks:
        pytest.skip(f"this machine has no accelerator for each of {ranks} ranks: they are tested on the CPU only")
    return run_ranks(_on, device.type, function, arguments, ranks=ranks)


def _on(kind: str, function: Callable[..., Any], arguments: tuple) -> Any:
    if kind != "cpu":
        torch.set_default_device(torch.device(kind, distributed.get_rank()))
    return function(*arguments)
