"""Ask ``torch.profiler`` about a step: FLOPs, and seconds by operator.

The profiler has FLOP rules for a few operators only: matrix products, 2-d
convolutions forward, additions and multiplications. Of the others it says
nothing.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.profiler import ProfilerActivity, profile

from flopbook import checks
from flopbook.counts.tally import Tally
from flopbook.measure.timing import now

#: The operators that the profiler has a rule for although they don't contract.
_POINTWISE = {"aten::add", "aten::mul"}

#: In place of an operator, for the time between operators: Python, autograd, the optimizer's own code.
BETWEEN = "between operators"


class Profile(Tally):
    """Holds the FLOPs that the profiler reports, made by :func:`profile_flops`.

    It has the attributes of a `Tally`. The profiler does not say which module
    an operator belongs to, nor which operators it has no rule for, and it
    counts as backward what a checkpoint runs again.
    """

    witness = "profiled"


def profile_flops(step: Callable[[], object]) -> Profile:
    """Ask ``torch.profiler(with_flops=True)`` for the FLOPs of one call of `step`.

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
    checks.function(step, "profile_flops(lambda: ...)")
    if torch.autograd._profiler_enabled():  # a profiler inside of another one sees nothing
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
    """Make PyTorch's profiler of the processor, and of the accelerator where there is one."""
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    # a version that would clear events after each cycle warns, though this profiler runs one
    return profile(activities=activities, acc_events=True, **options)


def phase_of(event: FunctionEvent) -> str:
    """Tell an event's phase from the events around it."""
    around = event.cpu_parent
    while around:
        if around.name.startswith("autograd::engine::evaluate_function"):
            return "backward"
        if around.name.startswith("Optimizer.step"):
            return "optimizer"
        around = around.cpu_parent
    return "forward"


class OperatorTime(NamedTuple):
    """Holds calls and seconds of one operator in one phase, with all that it calls."""

    phase: str
    operator: str
    calls: float
    seconds: float


@dataclass(frozen=True)
class TimeProfile:
    """Holds the seconds of a step, by operator, made by :func:`profile_time`.

    Attributes
    ----------
    seconds : float
        Of one step under the profiler, which slows it down: shares of it say
        more than the seconds.
    operators : tuple of OperatorTime
        Most seconds first. They add up to the step.
    """

    seconds: float
    operators: tuple[OperatorTime, ...]


def profile_time(step: Callable[[], object], operators: Collection[str], steps: int = 10) -> TimeProfile:
    """Time each operator in a step, the mean of several.

    Parameters
    ----------
    step : callable
        Takes nothing.
    operators : collection of str
        Those to time with all that they call, as a count names them, so that
        time and FLOPs stand on the same rows. Others are timed alone.
    steps : int
        How many to take the mean of, after one to warm up.

    Returns
    -------
    TimeProfile
        Where the step runs on an accelerator, its seconds; there the time
        between operators is when it has nothing to do.

    Raises
    ------
    TypeError, ValueError
        If `step` cannot be called, or the operators or steps are anything else.

    Examples
    --------
    >>> layer = torch.nn.Linear(16, 8)
    >>> x = torch.randn(4, 16)
    >>> spent = profile_time(lambda: layer(x).sum().backward(), {"aten::mm", "aten::addmm"}, steps=3)
    >>> [(row.phase, row.calls) for row in spent.operators if row.operator == "aten::addmm"]
    [('forward', 1.0)]
    """
    checks.function(step, "profile_time(lambda: ..., operators)")
    checks.size("steps", steps)
    if not isinstance(operators, Collection):
        raise TypeError(f"{checks.quoted(operators)} are not names of operators: write {{'aten::mm', 'aten::addmm'}}")
    step()
    with torch_profiler() as profiler:
        started = now()
        for _ in range(steps):
            step()
        seconds = (now() - started) / steps
    calls: Counter[tuple[str, str]] = Counter()
    spent: defaultdict[tuple[str, str], float] = defaultdict(float)
    events = profiler.events()
    on_accelerator = any(event.device_type != DeviceType.CPU for event in events)  # an accelerator may be idle
    for event in events:
        if place := _place(event, operators):
            calls[place] += 1
            spent[place] += _seconds(event, place[1] in operators, on_accelerator) / steps
    spent["forward", BETWEEN] += max(seconds - sum(spent.values()), 0)
    rows = (OperatorTime(*place, calls[place] / steps, taken) for place, taken in spent.items())
    return TimeProfile(seconds, tuple(sorted(rows, key=lambda row: -row.seconds)))


def _place(event: FunctionEvent, operators: Collection[str]) -> tuple[str, str] | None:
    """Find phase and operator of an event's time, unless an outer operator includes it."""
    if event.device_type != DeviceType.CPU:  # an accelerator's kernel, whose time its operator includes
        return None
    if event.name.startswith("gloo:"):  # what a thread exchanges in the background, while the step goes on or waits
        return None
    around = event.cpu_parent
    while around:
        if around.name in operators:
            return None
        around = around.cpu_parent
    phase = "optimizer" if event.name.startswith("Optimizer.") else phase_of(event)
    return phase, event.name if "::" in event.name and "engine" not in event.name else BETWEEN


def _seconds(event: FunctionEvent, whole: bool, on_accelerator: bool) -> float:
    """Return an event's seconds, with or without inner events, on accelerator or processor."""
    if on_accelerator:
        return (event.device_time_total if whole else event.self_device_time_total) / 1e6
    return (event.cpu_time_total if whole else event.self_cpu_time_total) / 1e6
