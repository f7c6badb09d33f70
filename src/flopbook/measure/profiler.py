"""What ``torch.profiler`` says of a step.

The profiler has FLOP rules for a few operators only: matrix products, 2-d
convolutions forward, additions and multiplications. Of the others it says
nothing.
"""

import os
from collections.abc import Callable
from typing import Any

import torch
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from flopbook.counts.tally import Tally

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would write lines of its own to standard error

#: The operators that the profiler has a rule for although they don't contract.
_POINTWISE = {"aten::add", "aten::mul"}


class Profile(Tally):
    """FLOPs that the profiler reports, made by :func:`profile_flops`.

    It has the views of a count. The profiler does not say which module an
    operator belongs to, nor what it has no rule for, and it counts what a
    checkpoint runs again as backward.
    """

    witness = "profiled"


def profile_flops(step: Callable[[], object]) -> Profile:
    """FLOPs that ``torch.profiler(with_flops=True)`` reports of one call of `step`.

    Parameters
    ----------
    step : callable
        Takes nothing; runs once.

    Returns
    -------
    Profile
        With `forward`, `backward`, `total` and `by_operator`.

    Raises
    ------
    TypeError
        If `step` cannot be called.
    RuntimeError
        If torch.profiler runs already.

    Examples
    --------
    >>> import torch
    >>> x, w = torch.randn(64, 32), torch.randn(32, 16, requires_grad=True)
    >>> profile_flops(lambda: (x @ w).square().mean().backward()).by_operator
    {'aten::mm': Total(flops=131072, calls=2)}
    """
    if not callable(step):
        raise TypeError(f"{step!r} cannot be called: write profile_flops(lambda: ...)")
    if torch.autograd._profiler_enabled():  # inside of another one a profiler sees nothing
        raise RuntimeError("torch.profiler runs already: call profile_flops outside of its with block")
    with torch_profiler(record_shapes=True, with_flops=True) as profiler:
        step()
    profiled = Profile()
    for event in profiler.events():
        if event.flops:
            costs = (0, event.flops) if event.name in _POINTWISE else (event.flops, 0)
            profiled.note(phase_of(event), "", event.name, *costs)
    return profiled


def torch_profiler(**options: Any) -> profile:
    """PyTorch's profiler of the processor, and of the accelerator where there is one."""
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    return profile(activities=activities, **options)


def phase_of(event: FunctionEvent) -> str:
    """Where an event ran, as the events around it tell."""
    around = event.cpu_parent
    while around:
        if around.name.startswith("autograd::engine::evaluate_function"):
            return "backward"
        if around.name.startswith("Optimizer.step"):
            return "optimizer"
        around = around.cpu_parent
    return "forward"
