"""Measure a training step of GPT-2 small by attention kernel, compilation and batch."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

from flopbook.labs.accelerator.clock import Clock
from flopbook.labs.accelerator.gpt2 import SMALL, Step, make_step, predicted
from flopbook.measure.counting.count import FlopCount
from flopbook.measure.machine import measure_products
from flopbook.measure.timing import time_step
from flopbook.predict.roofline import mfu

KERNELS = {
    "flash": SDPBackend.FLASH_ATTENTION,
    "memory-efficient": SDPBackend.EFFICIENT_ATTENTION,
    "cuDNN": SDPBackend.CUDNN_ATTENTION,
    "math": SDPBackend.MATH,
}
_SECONDS = {"eager": 15, "compiled": 75}  # a step starts only if this much time is left


def measure(device: str, clock: Clock) -> Mapping[str, Any]:
    """Count and time the step with every kernel of the device, and over the batch."""
    small = device == "cpu"
    sizes = {**SMALL, "L": 2, "V": 4096, "T": 64} if small else SMALL
    B, precision, batches = (2, "fp32", (1, 2, 4)) if small else (8, "bf16", (1, 2, 4, 8, 16))
    peak = measure_products(precision, device).peak

    def halves(batch: int) -> Mapping[str, Any]:
        return _halves(make_step(sizes, batch, device))

    def step(kernel: SDPBackend, how: str) -> Mapping[str, Any]:
        with sdpa_kernel(kernel):
            return _measured(make_step(sizes, B, device, compiled=how == "compiled"), peak)

    return {
        "sizes": {**sizes, "B": B},
        "model": "GPT-2 small, cut down for the processor" if small else "GPT-2 small, without biases",
        "predicted": predicted(sizes, B),
        "peak_flop_per_s": peak,
        "peak_is": f"the fastest dense square product of this run, in {precision}",
        "over_the_batch": {str(batch): _or_reason(clock, "eager", halves, batch) for batch in batches},
        "steps": {
            f"{name}, {how}": _or_reason(clock, how, step, kernel, how)
            for how in ("eager", "compiled")
            for name, kernel in KERNELS.items()
        },
    }


def _or_reason(
    clock: Clock, how: str, measured: Callable[..., Mapping[str, Any]], *arguments: object
) -> dict[str, Any]:
    """Return a measurement, or the reason why it failed, such as a missing kernel."""
    if clock.left < _SECONDS[how]:
        return {"missing": f"less than {_SECONDS[how]} s were left"}
    try:
        return dict(measured(*arguments))
    except Exception as error:
        return {"missing": str(error).strip().partition("\n")[0][:300] or type(error).__name__}
    finally:
        torch.compiler.reset()


def _measured(step: Step, peak: float | None) -> dict[str, Any]:
    """Count and time a step, and compute its MFU and HFU."""
    with FlopCount() as counted:
        step.run()
    timing = time_step(step.run, at_least_seconds=0.5)
    return {
        "forward": counted.forward,
        "backward": counted.backward,
        "recomputed": counted.recomputed,
        "model_flops": counted.model_flops,
        "hardware_flops": counted.total,
        "operators": {name: row._asdict() for name, row in counted.by_operator.items()},
        "uncounted": counted.uncounted,
        **timing._asdict(),
        "mfu": mfu(counted.model_flops, timing.seconds, peak) if peak else None,
        "hfu": mfu(counted.total, timing.seconds, peak) if peak else None,
    }


def _halves(step: Step) -> dict[str, float]:
    """Time the forward pass alone and with its backward pass; return the seconds of each."""

    def both() -> None:
        step.model.zero_grad()
        step.forward().backward()

    forward, whole = (time_step(part, at_least_seconds=0.3).seconds for part in (step.forward, both))
    return {"forward_seconds": forward, "backward_seconds": whole - forward}
