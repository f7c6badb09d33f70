"""Share what rules need: numbers in tensors, operations in words, values on a device."""

from collections.abc import Callable, Iterable

import torch
from torch import Tensor
from torch.utils._mode_utils import no_dispatch

from flopbook.measure.operators.names import pointwise, transcendental

#: Layouts that store some elements only.
SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}

_DTYPES = {dtype for dtype in vars(torch).values() if isinstance(dtype, torch.dtype)}
REAL = {dtype for dtype in _DTYPES if dtype.is_floating_point}
_COMPLEX = {dtype for dtype in _DTYPES if dtype.is_complex}


def elements(value) -> int:
    """Count the floating-point numbers of a tensor or a list; a complex number is two."""
    if isinstance(value, Tensor):
        if value.dtype in REAL:  # this runs for most operators, so the plain layout comes first, without a call
            return value.numel() if value.layout is torch.strided else stored(value)
        return 2 * stored(value) if value.dtype in _COMPLEX else 0
    if isinstance(value, (list, tuple)):
        return sum(map(elements, value))
    return 0


def complex_elements(value: Tensor | Iterable) -> int:
    """Count the complex numbers of a tensor or of a list of tensors."""
    if isinstance(value, Tensor):
        return stored(value) if value.dtype in _COMPLEX else 0
    return sum(map(complex_elements, value))


def stored(tensor: Tensor) -> int:
    """Count the elements that a tensor stores, fewer than all in sparse layouts."""
    if tensor.layout is torch.strided:
        return tensor.numel()
    if tensor.layout is torch.sparse_coo:
        return tensor._values().numel()
    return tensor.values().numel() if tensor.layout in SPARSE else tensor.numel()


def multiply_accumulate(tensor: Tensor) -> int:
    """Return the FLOPs of one multiply-accumulate: 2, and 8 of complex numbers."""
    return 8 if tensor.dtype in _COMPLEX else 2


def of_result(out, *_, **__) -> int:
    """1 operation for each element of the result."""
    return elements(out)


def of_input(out, first, *_, **__) -> int:
    """1 operation for each element that is reduced; none where only indices result."""
    return elements(first) if out is None or elements(out) else 0


#: Functions whose operations are transcendental, as XLA's cost analysis has them, with roots and powers; and those that
#: are made of such functions. The others of this book's words are one instruction of a processor.
FUNCTIONS = {"exponential", "logarithm", "root", "sine", "sigmoid", "tanh"}


def each_element(steps: str, *names: str) -> None:
    """Register operators that do these comma-separated steps for each element of their first argument."""
    _register(steps, "element", lambda out, first: elements(first), names)


def each_result(steps: str, *names: str) -> None:
    """Register operators that do these steps, divided by commas, for each element of their result."""
    _register(steps, "element of the result", lambda out, first: elements(first if out is None else out), names)


def _register(steps: str, of_what: str, number: Callable[..., int], names: tuple[str, ...]) -> None:
    words = steps.split(", ")
    hard = sum(word.split()[0] in FUNCTIONS for word in words)

    def rule(out, first, *_, **__):
        return len(words) * number(out, first)

    def hard_part(out, first, *_, **__):
        return hard * number(out, first)

    rule.__doc__ = f"{len(words)} for each {of_what}: {steps}."
    hard_part.__doc__ = f"{hard} for each {of_what}, of: {steps}."
    pointwise(*names)(rule)
    if hard:
        transcendental(*names)(hard_part)


def unseen(rule: Callable) -> Callable:
    """Hide from other counts the operators by which a rule reads a tensor."""

    def reads(*arguments, **named):
        with no_dispatch():
            return rule(*arguments, **named)

    reads.__doc__, reads.__module__ = rule.__doc__, rule.__module__
    return reads


def has_data(tensor: Tensor) -> bool:
    """Tell whether a tensor has values, unlike a meta or a traced tensor."""
    return type(tensor) in (Tensor, torch.nn.Parameter) and tensor.device.type != "meta"


def known(value: Tensor) -> int | Tensor:
    """Read an integer in main memory; leave one on a device unread."""
    return int(value) if value.device.type == "cpu" else value
