"""Run compiled functions uncompiled while something is counted."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import cast

import torch

_COMPILER = "torch._dynamo"

#: Modules that are loaded before anything compiles. Without one of them, the compiler need not be imported: 1 s less.
_COMPILES = {_COMPILER, "torch.nn.attention.flex_attention"}

# The compiler's setting holds for all threads: the first count changes it, the last one restores it.
_lock = Lock()
_running: list[object] = []
_give_back = ExitStack()


def never_compiled(function: Callable) -> Callable:
    """Keep the compiler away from a function and what the function calls.

    PyTorch's own decorator does the same, and takes time at each call.
    """
    frames = torch._C._dynamo.eval_frame
    alone = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.SKIP)
    frames.set_code_exec_strategy(function.__code__, alone)
    return function


@contextmanager
def eager_when_compiled() -> Iterator[None]:
    """Run compiled functions operator by operator, since operators inside a fused kernel cannot be counted."""
    count = object()
    with _lock:
        if not _running:
            _give_back.enter_context(_eager())
        _running.append(count)
    try:
        yield
    finally:
        with _lock:
            _running.remove(count)
            if not _running:
                _give_back.close()


@contextmanager
def _eager() -> Iterator[None]:
    """Forbid compiling; where the compiler was imported meanwhile, drop what it compiled.

    The compiler gives up for good on a function that it meets under a dispatch mode.
    """
    if sys.modules.keys() & _COMPILES:
        with torch.compiler.set_stance("force_eager"), _without_warning_of_hooks():
            yield
        return
    try:
        yield
    finally:
        if _COMPILER in sys.modules:
            torch.compiler.reset()


@contextmanager
def _without_warning_of_hooks() -> Iterator[None]:
    """Silence the warning that compiled modules give of the counter's hooks; keep filters set meanwhile."""
    warnings.filterwarnings("ignore", "Using `torch.compile", UserWarning)
    ours = warnings.filters[0]
    try:
        yield
    finally:
        with suppress(ValueError):  # all filters may have been reset meanwhile
            cast(list, warnings.filters).remove(ours)
