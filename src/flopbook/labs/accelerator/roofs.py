"""Measure the roofs of a device: FLOP/s of products, bytes/s, and seconds of a launch."""

from collections.abc import Callable, Mapping
from math import inf
from typing import Any

import torch

from flopbook.labs.accelerator.clock import Clock
from flopbook.measure.machine import FORMATS, data_sheet, measure_products
from flopbook.measure.timing import now, time_step

_LAUNCHES = 1000
_OPERANDS = ("random", "zero")  # products of zeros take less power, so a device may run them at a higher clock


def measure(device: str, clock: Clock) -> Mapping[str, Any]:
    """Measure products in each format, bandwidth and launches, and compute the ridge."""
    products = {
        name: {operands: measure_products(name, device, operands=operands)._asdict() for operands in _OPERANDS}
        for name in FORMATS
    }
    bandwidth = {where: _bandwidths(device, size) for where, size in _sizes(device).items()}
    best = max(bandwidth["out of cache"].values())
    peaks = {name: max(rates["random"]["flop_per_s"], default=None) for name, rates in products.items()}
    return {
        "products": products,
        "data_sheet": _data_sheet(device),
        "bytes_per_s": bandwidth,
        "launch_seconds": _launch(device),
        "ridge": {name: peak / best for name, peak in peaks.items() if peak},
    }


def _data_sheet(device: str) -> dict[str, Any]:
    """Return the data sheet that is known for the device by the name that PyTorch gives it."""
    if device != "cuda":
        return {"missing": f"no data sheet is known for {device}"}
    try:
        sheet = data_sheet()
    except ValueError as error:
        return {"missing": str(error)}
    return {
        "name": sheet.name,
        "peak_flop_per_s": dict(sheet.peak_flop_per_s),
        "bytes_per_s": sheet.bytes_per_s,
        "source": sheet.source,
    }


def _sizes(device: str) -> dict[str, int]:
    """Return the bytes of a tensor larger than the cache, and a smaller one."""
    cache = getattr(torch.cuda.get_device_properties(0), "L2_cache_size", 2**25) if device == "cuda" else 2**20
    return {"out of cache": max(2**28, 8 * cache), "in cache": cache // 4}


def _bandwidths(device: str, size: int) -> dict[str, float]:
    """Measure bytes/s of a copy, a sum and an addition, by tensors read or written."""
    left = torch.ones(size // 4, device=device)
    right, out = torch.ones_like(left), torch.empty_like(left)
    moves: dict[str, tuple[int, Callable[[], object]]] = {
        "copy": (2, lambda: out.copy_(left)),
        "read": (1, left.sum),
        "add": (3, lambda: torch.add(left, right, out=out)),
    }
    return {name: tensors * left.nbytes / _many(call, device) for name, (tensors, call) in moves.items()}


def _many(call: Callable[[], object], device: str) -> float:
    """Time one of several calls that are queued together, in the fastest of five queues."""
    call()
    calls, fastest = 1 if device == "cpu" else 20, inf
    for _ in range(5):
        started = now()
        for _ in range(calls):
            call()
        fastest = min(fastest, (now() - started) / calls)
    return fastest


def _launch(device: str) -> dict[str, float]:
    """Time an operator on one number: queued after others, and waited for."""
    x = torch.zeros((), device=device)

    def queue() -> None:
        for _ in range(_LAUNCHES):
            x.add_(1)

    return {
        "queued": time_step(queue, at_least_seconds=0).seconds / _LAUNCHES,
        "waited for": time_step(lambda: x.add_(1), at_least_seconds=0.05).seconds,
    }
