"""Seconds of a step, measured honestly."""

from collections.abc import Callable
from statistics import quantiles
from time import perf_counter
from typing import NamedTuple

import torch

_FEWEST = 5  # calls: with fewer there is no middle half


class Timing(NamedTuple):
    """Seconds of one call: the median of many, and the spread of the middle half."""

    seconds: float
    spread_seconds: float
    calls: int

    def flop_per_s(self, flops: int) -> float:
        """FLOP/s of a call that takes so many FLOPs."""
        return flops / self.seconds


def time_step(step: Callable[[], object], at_least_seconds: float = 0.2) -> Timing:
    """Seconds of one call of `step`: warmed up, synchronised, the median of many.

    Parameters
    ----------
    step : callable
        Takes nothing.
    at_least_seconds : float
        How long to go on measuring; five calls are timed in any case.

    Returns
    -------
    Timing
        Median and interquartile range of the seconds of a call, each timed
        for itself, and how many calls there were.

    Raises
    ------
    TypeError
        If `step` cannot be called.

    Examples
    --------
    >>> import torch
    >>> x = torch.randn(64, 64)
    >>> time_step(lambda: x @ x, at_least_seconds=0.01).seconds > 0
    True
    """
    if not callable(step):
        raise TypeError(f"{step!r} cannot be called: write time_step(lambda: ...)")
    step()  # what is set up at the first call is not the step
    seconds: list[float] = []
    stop = now() + at_least_seconds
    while len(seconds) < _FEWEST or now() < stop:
        started = now()
        step()
        seconds.append(now() - started)
    lower, median, upper = quantiles(seconds, n=4)
    return Timing(median, upper - lower, len(seconds))


def now() -> float:
    """Seconds of a clock, once all is done that an accelerator was told to do.

    Examples
    --------
    >>> started = now()
    >>> now() > started
    True
    """
    if torch.accelerator.is_available():
        torch.accelerator.synchronize()
    return perf_counter()
