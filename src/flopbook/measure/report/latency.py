"""Seconds of each module's forward pass."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from statistics import median
from threading import get_ident

import torch
from torch import nn
from torch.nn.modules import module as nn_module

from flopbook.measure.counting.compiled import eager_when_compiled
from flopbook.measure.timing import now


class _Clock:
    """Adds up the seconds between a module's start and its end."""

    def __init__(self, paths: Mapping[nn.Module, str]):
        self._paths, self._thread = paths, get_ident()
        self._started: list[float] = []
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def _concerns(self, module: nn.Module) -> bool:
        """Whether this is a forward pass of a module that is timed; a checkpoint runs it again in the backward."""
        here = get_ident() == self._thread and torch._C._current_autograd_node() is None
        return here and module in self._paths

    def start(self, module: nn.Module, *_: object) -> None:
        if self._concerns(module):
            self._started.append(now())

    def stop(self, module: nn.Module, *_: object) -> None:
        if self._concerns(module):
            self.seconds[self._paths[module]] += now() - self._started.pop()


def time_modules(step: Callable[[], object], paths: Mapping[nn.Module, str], steps: int) -> dict[str, float]:
    """Seconds that each module's forward pass takes in one step, with all that it holds.

    Parameters
    ----------
    step : callable
        Takes nothing.
    paths : dict of Module to str
        The modules to time, and what to call them.
    steps : int
        The median of so many is taken.

    Returns
    -------
    dict of str to float
        Seconds by path, of the modules that ran.

    Notes
    -----
    An accelerator is waited for before and after each module. A compiled model
    is timed uncompiled: a compiled one has no modules.

    Examples
    --------
    >>> from torch import nn
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
