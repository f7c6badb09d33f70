"""Name work that PyTorch's dispatcher never sees, which no rule can count."""

import re
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import torch
from torch.autograd import function as autograd_function

#: Is called with the name of something that runs unseen.
Listener = Callable[[str], None]

#: Nodes of a script that run several operators, or a library's operator, without the dispatcher.
_FUSED = re.compile(r"prim::(?!Constant)\w*(?:mkldnn|FusionGroup|TensorExprGroup)\w*", re.IGNORECASE)

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


def _function_that_runs() -> str | None:
    """Return the name of the innermost `torch.autograd.Function` that runs forward or backward."""
    frame: FrameType | None = sys._getframe()
    while frame and not (frame.f_code.co_name == "apply" and frame.f_code.co_filename == autograd_function.__file__):
        frame = frame.f_back
    if frame is None:
        return None
    own = frame.f_locals.get("cls") or type(frame.f_locals["self"])._forward_cls
    return own.__name__


def _watched(name: str) -> Callable:
    def hand_over(tensor: torch.Tensor, *arguments: object, **named: object) -> object:
        if inside := _function_that_runs():
            for listener in list(_listeners):
                listener(f"{'another library' if name == '__dlpack__' else 'NumPy'} in {inside}")
        return _plain[name](tensor, *arguments, **named)

    return hand_over


_WATCHED = {name: _watched(name) for name in _plain}
