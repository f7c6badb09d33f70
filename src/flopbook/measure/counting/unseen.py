"""Name work that PyTorch's dispatcher never sees, which no rule can count."""

import inspect
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from traceback import walk_stack
from types import CodeType
from typing import Any

import torch
from torch.autograd import Function

#: Is called with the name of something that runs unseen.
Listener = Callable[[str], None]

#: Nodes of a script that run several operators, or a library's operator, without the dispatcher.
_FUSED = re.compile(r"prim::(?!Constant)\w*(?:mkldnn|FusionGroup|TensorExprGroup)\w*", re.IGNORECASE)

#: Methods of a `torch.autograd.Function` that compute.
_METHODS = {"forward", "backward"}

_lock = threading.Lock()
_listeners: list[Listener] = []
_plain = {name: getattr(torch.Tensor, name) for name in ("numpy", "__array__", "__dlpack__")}
_own = {name for name in _plain if name in vars(torch.Tensor)}


def fused_in(script: torch.jit.ScriptModule) -> list[str]:
    """Name the nodes of a script that its optimizer fused."""
    return _FUSED.findall(str(script.inlined_graph))


@contextmanager
def watch_numpy(listener: Listener) -> Iterator[None]:
    """Call `listener` for each tensor that an `autograd.Function` gives another library."""
    with _lock:
        _listeners.append(listener)
        for name in _plain:
            setattr(torch.Tensor, name, _WATCHED[name])
    try:
        yield
    finally:
        with _lock:
            _listeners.remove(listener)
            for name in () if _listeners else _plain:
                setattr(torch.Tensor, name, _plain[name]) if name in _own else delattr(torch.Tensor, name)


def function_that_runs() -> str | None:
    """Return the name of the innermost `torch.autograd.Function` that runs forward or backward."""
    running = [frame.f_code for frame, _ in walk_stack(None) if frame.f_code.co_name in _METHODS]
    # newer releases of PyTorch call these methods without a frame of their own around them
    names = {code: function.__name__ for function in _below(Function) for code in _code(function)} if running else {}
    return next((names[code] for code in running if code in names), None)


def _below(kind: type[Any]) -> Iterator[type[Any]]:
    for below in kind.__subclasses__():
        yield below
        yield from _below(below)


def _code(function: type[Any]) -> Iterator[CodeType]:
    """Yield the code of a function's own methods, without decorators."""
    for name in vars(function).keys() & _METHODS:
        if code := getattr(inspect.unwrap(getattr(function, name)), "__code__", None):
            yield code


def _watched(name: str) -> Callable:
    def hand_over(tensor: torch.Tensor, *arguments: object, **named: object) -> object:
        if inside := function_that_runs():
            for listener in list(_listeners):
                listener(f"{'another library' if name == '__dlpack__' else 'NumPy'} in {inside}")
        return _plain[name](tensor, *arguments, **named)

    return hand_over


_WATCHED = {name: _watched(name) for name in _plain}
