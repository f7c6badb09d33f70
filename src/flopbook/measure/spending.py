"""What a step spends: seconds by operator, and bytes over time."""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import NamedTuple
from weakref import finalize

import torch
from torch.autograd import DeviceType
from torch.autograd.profiler_util import FunctionEvent
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from flopbook.measure.counting.compiled import eager_when_compiled
from flopbook.measure.profiler import phase_of, torch_profiler
from flopbook.measure.timing import now

#: In place of an operator, for the time between operators: Python, autograd, the optimizer's own code.
BETWEEN = "between operators"


class OperatorTime(NamedTuple):
    """Calls and seconds of one operator in one phase of one step; with all that it calls."""

    phase: str
    operator: str
    calls: float
    seconds: float


@dataclass(frozen=True)
class TimeProfile:
    """Seconds of a step, by operator, made by :func:`profile_time`.

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
    """Seconds of each operator in a step, the mean of several.

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

    Examples
    --------
    >>> layer = torch.nn.Linear(16, 8)
    >>> x = torch.randn(4, 16)
    >>> spent = profile_time(lambda: layer(x).sum().backward(), {"aten::mm", "aten::addmm"}, steps=3)
    >>> [(row.phase, row.calls) for row in spent.operators if row.operator == "aten::addmm"]
    [('forward', 1.0)]
    """
    step()
    with torch_profiler() as profiler:
        started = now()
        for _ in range(steps):
            step()
        seconds = (now() - started) / steps
    calls: Counter[tuple[str, str]] = Counter()
    spent: defaultdict[tuple[str, str], float] = defaultdict(float)
    events = profiler.events()
    on_accelerator = any(event.device_type != DeviceType.CPU for event in events)  # one that is there may rest
    for event in events:
        if place := _place(event, operators):
            calls[place] += 1
            spent[place] += _seconds(event, place[1] in operators, on_accelerator) / steps
    spent["forward", BETWEEN] += max(seconds - sum(spent.values()), 0)
    rows = (OperatorTime(*place, calls[place] / steps, taken) for place, taken in spent.items())
    return TimeProfile(seconds, tuple(sorted(rows, key=lambda row: -row.seconds)))


def _place(event: FunctionEvent, operators: Collection[str]) -> tuple[str, str] | None:
    """Phase and operator that an event's time belongs to; None if an operator around it has it already."""
    if event.device_type != DeviceType.CPU:  # an accelerator's kernel; its time is its operator's too
        return None
    around = event.cpu_parent
    while around:
        if around.name in operators:
            return None
        around = around.cpu_parent
    phase = "optimizer" if event.name.startswith("Optimizer.") else phase_of(event)
    return phase, event.name if "::" in event.name and "engine" not in event.name else BETWEEN


def _seconds(event: FunctionEvent, whole: bool, on_accelerator: bool) -> float:
    """Seconds of an event with all that it calls, or of itself; of the kernels that it started, or on the processor."""
    if on_accelerator:
        return (event.device_time_total if whole else event.self_device_time_total) / 1e6
    return (event.cpu_time_total if whole else event.self_cpu_time_total) / 1e6


class MemoryProfile(NamedTuple):
    """Bytes that a step allocates and frees, made by :func:`watch_memory`.

    Attributes
    ----------
    bytes : tuple of int
        After each operator, more or less than before the step; the last after
        all of it.
    operators : tuple of str
        Their names, in the order in which they ran.
    """

    bytes: tuple[int, ...]
    operators: tuple[str, ...]

    @property
    def peak(self) -> int:
        """The most that is held at one time, more than before the step."""
        return max(self.bytes)


class _Watch(TorchDispatchMode):
    """Adds up the storages that operators make, until each is freed."""

    def __init__(self) -> None:
        super().__init__()
        self._known: set[int] = set()
        self.held = 0
        self.bytes: list[int] = []
        self.operators: list[str] = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        for made in tree_leaves(out):
            if isinstance(made, torch.Tensor):
                self._note(made.untyped_storage())
        if func.namespace != "profiler":  # a label that PyTorch sets, no operator
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
        """Begin anew, from what is held now."""
        self.held = 0
        self.bytes.clear()
        self.operators.clear()


def watch_memory(step: Callable[[], object]) -> MemoryProfile:
    """Bytes of tensors over one step, after one to warm up.

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
    with eager_when_compiled(), _Watch() as watch:
        step()
        watch.start()
        step()
        return MemoryProfile((*watch.bytes, watch.held), tuple(watch.operators))
