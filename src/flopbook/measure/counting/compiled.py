"""Compiled functions run uncompiled while something is counted."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import cast

import torch

_COMPILER = "torch._dynamo"

#: What is imported before something compiles; to import the compiler for nothing would take a second.
_COMPILES = {_COMPILER, "torch.nn.attention.flex_attention"}

# The compiler's stance holds for all threads: the first count takes it, the last one gives it back.
_lock = Lock()
_running: list[object] = []
_give_back = ExitStack()


def never_compiled(function: Callable) -> Callable:
    """Have the compiler leave a function and what it calls alone; PyTorch's own decorator takes time at each call."""
    frames = torch._C._dynamo.eval_frame
    alone = frames._FrameExecStrategy(frames._FrameAction.SKIP, frames._FrameAction.SKIP)
    frames.set_code_exec_strategy(function.__code__, alone)
    return function


@contextmanager
def eager_when_compiled() -> Iterator[None]:
    """Run compiled functions operator by operator: their fused kernels cannot be told apart."""
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
    """Compiling under a dispatch mode gives up on a function for good, so what was compiled is dropped."""
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
    """Compiled modules mind the hooks by which modules are told apart; filters set meanwhile stay."""
    warnings.filterwarnings("ignore", "Using `torch.compile", UserWarning)
    ours = warnings.filters[0]
    try:
        yield
    finally:
        with suppress(ValueError):  # somebody may have reset all filters meanwhile
            cast(list, warnings.filters).remove(ours)
