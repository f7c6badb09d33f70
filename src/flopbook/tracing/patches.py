"""Change PyTorch while a model is traced, and set it back."""

import gc
import logging
import numbers
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch._dispatch.python import enable_python_dispatcher
from torch._subclasses import fake_tensor
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensor
from torch.nn.modules import normalization, rnn
from torch.utils import _device

from flopbook.measure.counting.compiled import eager_when_compiled


@contextmanager
def surroundings(letters: bool) -> Iterator[None]:
    """Let letters pass for numbers, if there are any, and set back whatever a model's code sets in PyTorch.

    Without one of the replaced attributes, layers of PyTorch itself would turn their letters into plain numbers.
    """
    with ExitStack() as stack:
        stack.enter_context(_state_kept())
        stack.enter_context(_collection_paused())
        stack.enter_context(warnings.catch_warnings(action="ignore"))  # they are about sizes that the reader never gave
        stack.enter_context(torch.enable_grad())
        stack.enter_context(eager_when_compiled())
        if letters:
            stack.enter_context(enable_python_dispatcher())  # kernels in C++ want plain sizes
        stack.enter_context(replaced(logging.getLogger(fake_tensor.__name__), "disabled", True))  # errors are raised
        if torch.get_default_device().type != "cpu":  # to name the usual device would take time at every call
            stack.enter_context(torch.device("cpu"))
        for owner, name, value in (
            (normalization, "numbers", SimpleNamespace(Integral=(numbers.Integral, torch.SymInt))),  # asks for a class
            (torch.SymInt, "__float__", lambda size: float(torch.sym_float(size))),  # else math.sqrt takes an integer
            (FakeTensor, "__deepcopy__", _clone),  # a model clones its layers
            (rnn, "int", (int, torch.SymInt)),
            (nn.init, "_no_grad_trunc_normal_", lambda tensor, *_, **__: tensor),  # reads values, and there are none
        ):
            stack.enter_context(replaced(owner, name, value))
        for name in ("numpy", "__array__", "__format__"):  # else PyTorch's error says nothing of data
            stack.enter_context(replaced(FakeTensor, name, _has_no_values))
        yield


def _has_no_values(tensor, *arguments, **named):
    raise DataDependentOutputException(torch.ops.aten._local_scalar_dense.default)


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Give `owner` another attribute meanwhile."""
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)


@contextmanager
def _state_kept() -> Iterator[None]:
    dtype, device = torch.get_default_dtype(), _device.CURRENT_DEVICE
    with torch.random.fork_rng(devices=[]):
        try:
            yield
        finally:
            torch.set_default_dtype(dtype)
            if _device.CURRENT_DEVICE is not device:
                torch.set_default_device(device)


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Let Python collect no garbage: to search all objects of PyTorch and SymPy takes 8 % of a trace."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


def _clone(tensor: FakeTensor, memo: dict) -> Tensor:
    if id(tensor) not in memo:
        copy = tensor.detach().clone()
        is_parameter = isinstance(tensor, nn.Parameter)
        memo[id(tensor)] = nn.Parameter(copy, tensor.requires_grad) if is_parameter else copy
    return memo[id(tensor)]
