"""Time a step and each module in it, waiting for an accelerator's work."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median, quantiles
from threading import get_ident
from time import perf_counter
from typing import NamedTuple

import torch
from torch import distributed, nn
from torch.nn.modules import module as nn_module

from flopbook import checks
from flopbook.measure.counting.compiled import eager_when_compiled

FEWEST = 5  # calls: with fewer there is no middle half


class Timing(NamedTuple):
    """Holds the seconds of one call: median, and spread of the middle half.

    Attributes
    ----------
    seconds, spread_seconds : float
        Median and interquartile range.
    calls : int
        How many were timed.
    threads : int
        PyTorch's threads on the processor meanwhile.
    """

    seconds: float
    spread_seconds: float
    calls: int
    threads: int = 1

    def flop_per_s(self, flops: int) -> float:
        """Divide the FLOPs of a call by its seconds."""
        return flops / self.seconds


def time_step(step: Callable[[], object], at_least_seconds: float = 0.2) -> Timing:
    """Time one call of `step`: warmed up, synchronised, the median of many.

    Parameters
    ----------
    step : callable
        Takes nothing.
    at_least_seconds : float
        How long to go on measuring; five calls are timed in any case, and no
        more where several processes take part in a step.

    Returns
    -------
    Timing
        Median and interquartile range of the seconds of a call, each timed
        for itself, how many calls there were, and on how many threads.

    Raises
    ------
    TypeError
        If `step` cannot be called.
    ValueError
        If `at_least_seconds` is not a number of at least 0.

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(64, 64)
    >>> time_step(lambda: x @ x, at_least_seconds=0.01).seconds > 0
    True
    """
    checks.function(step, "time_step(lambda: ...)")
    if not checks.is_number(at_least_seconds) or at_least_seconds < 0:
        raise ValueError(f"at_least_seconds={checks.quoted(at_least_seconds)} is not a time: write 0 or more")
    step()  # the first call also sets things up
    seconds: list[float] = []
    stop = now() if several_processes() else now() + at_least_seconds
    while len(seconds) < FEWEST or now() < stop:
        started = now()
        step()
        seconds.append(now() - started)
    lower, middle, upper = quantiles(seconds, n=4)
    return Timing(middle, upper - lower, len(seconds), torch.get_num_threads())


def several_processes() -> bool:
    """Tell whether other processes wait, so that no clock may decide on steps."""
    return distributed.is_available() and distributed.is_initialized() and distributed.get_world_size() > 1


def now() -> float:
    """Read a clock in seconds, once an accelerator has done all that it was told.

    Examples
    --------
    >>> started = now()
    >>> now() > started
    True
    """
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return perf_counter()


def time_modules(step: Callable[[], object], paths: Mapping[nn.Module, str], steps: int) -> dict[str, float]:
    """Time each module's forward pass in a step, with all that it holds.

    Parameters
    ----------
    step : callable
        Takes nothing.
    paths : dict of Module to str
        The modules to time, with the path of each.
    steps : int
        Number of steps whose median is taken.

    Returns
    -------
    dict of str to float
        Seconds by path, of the modules that ran.

    Notes
    -----
    The clock waits for an accelerator before and after each module. A compiled
    model is timed uncompiled, since its modules do not run one by one.

    Examples
    --------
    >>> layer = nn.Linear(3, 2)
    >>> times = time_modules(lambda: layer(torch.ones(4, 3)), {layer: "Linear"}, steps=3)
    >>> times["Linear"] > 0
    True
    """
    noted = []
    with eager_when_compiled():
        for _ in range(steps):
            clock = _Clock(paths)
            hooks = (
                nn_module.register_module_forward_pre_hook(clock.start),
                nn_module.register_module_forward_hook(clock.stop, always_call=True),
            )
            try:
                step()
            finally:
                for hook in hooks:
                    hook.remove()
            noted.append(clock.seconds)
    return {path: median(seconds[path] for seconds in noted) for path in noted[0]}


class _Clock:
    """Adds up the seconds between a module's start and its end."""

    def __init__(self, paths: Mapping[nn.Module, str]):
        self._paths, self._thread = paths, get_ident()
        self._started: list[float] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def _concerns(self, module: nn.Module) -> bool:
        """Tell whether a timed module runs forward, and not again in a backward pass."""
        here = get_ident() == self._thread and torch._C._current_autograd_node() is None
        return here and module in self._paths

    def start(self, module: nn.Module, *_: object) -> None:
        if self._concerns(module):
            self._started.append(now())

    def stop(self, module: nn.Module, *_: object) -> None:
        if self._concerns(module):
            self.seconds[self._paths[module]] += now() - self._started.pop()
