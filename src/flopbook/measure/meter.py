"""Meter the FLOPs and FLOP/s of a training loop while it runs."""

import warnings
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import singledispatch
from math import inf
from time import perf_counter
from types import FunctionType, NoneType
from typing import NamedTuple
from weakref import ref

import torch
from torch import nn
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from flopbook.checks import quoted
from flopbook.measure.counting.count import FlopCount
from flopbook.measure.machine import promised_peak
from flopbook.measure.operators.products import SPARSE
from flopbook.measure.timing import now
from flopbook.units import si

#: After this many steps, no two with inputs of equal shapes, a meter warns that it times none.
_MANY = 20


class _Known(NamedTuple):
    """Holds the count of all steps whose inputs have the same shapes."""

    counted: FlopCount
    flops: int
    model_flops: int


class FlopMeter:
    """Counts a step once for each shape of its inputs, and only times later steps.

    Parameters
    ----------
    peak_flop_per_s : float, optional
        Dense peak of the device at the step's data type, for `mfu` and `hfu`.
    device : str, optional
        In place of the peak: a device whose data sheet says it, such as ``"H100 SXM"``, one of
        `flopbook.devices.DEVICES`. With `dtype` alone, the accelerator that is here.
    dtype : str or torch.dtype, optional
        Format of the operands in which the device has its peak, such as ``"bf16"`` or ``torch.bfloat16``.

    Attributes
    ----------
    peak_flop_per_s : float or None
        As given, or as the data sheet says.
    steps : int
        Steps so far.
    flops : int
        FLOPs of the contractions of all steps.
    flop_per_s : float or None
        FLOP/s of the steps that were only timed, not counted.
    mfu : float or None
        Model FLOPs utilization: the model's FLOPs over seconds times peak.
        These are forward and backward FLOPs, whatever kernel ran: nothing
        that a checkpoint or a fused kernel computes again. None where the
        peak is not given, or no step was timed.
    hfu : float or None
        Hardware FLOPs utilization: the FLOPs of all contractions that ran,
        over seconds times peak. None where `mfu` is.
    count : FlopCount or None
        The count of the last step's shape.

    Raises
    ------
    ValueError
        If the peak is not a positive number, or no data sheet says it.
    TypeError
        If both a peak and a device are given, or a device without a format.

    Warns
    -----
    UserWarning
        If no two of many steps had inputs of equal shapes, so that every step
        is counted and none is timed.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(32, 16)
    >>> meter = FlopMeter()
    >>> for x in torch.randn(3, 64, 32):
    ...     with meter(x):
    ...         model(x).square().mean().backward()
    >>> meter.steps, meter.flops
    (3, 393216)
    >>> FlopMeter(device="H100 SXM", dtype="bf16").peak_flop_per_s
    989400000000000.0
    """

    def __init__(
        self,
        peak_flop_per_s: float | None = None,
        *,
        device: str | None = None,
        dtype: str | torch.dtype | None = None,
    ):
        if peak_flop_per_s is not None and not _is_peak(peak_flop_per_s):
            raise ValueError(f"peak_flop_per_s={peak_flop_per_s!r} is not a peak: write a positive number of FLOP/s")
        self.peak_flop_per_s = _promised(device, dtype, peak_flop_per_s)
        self.steps = 0
        self.flops = 0
        self.count: FlopCount | None = None
        self._known: dict[tuple, _Known] = {}
        self._timed_flops = self._timed_model_flops = 0
        self._seconds = 0.0

    @contextmanager
    def __call__(self, *inputs: object) -> Iterator[None]:
        """Count or time the step in the block.

        Parameters
        ----------
        *inputs : tensors, numbers, text, and what is made of them
            Everything that the step's FLOPs depend on. Tensors are compared by
            shape, type, device and whether they need a gradient; lists, dicts
            and objects by what they hold; a module by identity; anything else
            by value, such as whether a layer is frozen. No data is kept. The
            meter sees by itself whether gradients are on.

        Raises
        ------
        TypeError
            If an input is none of these.
        """
        try:
            key = torch.is_grad_enabled(), _shape(inputs)
        except RecursionError:
            raise TypeError("an input holds itself, in some depth: give tensors, numbers or text") from None
        if key in self._known:
            start = perf_counter()
            yield
            self._seconds += now() - start
            self._timed_flops += self._known[key].flops
            self._timed_model_flops += self._known[key].model_flops
        else:
            with FlopCount() as count:
                yield
            self._known[key] = _Known(count, count.total, count.model_flops)
        self.steps += 1
        self.count = self._known[key].counted
        self.flops += self._known[key].flops
        if self.steps == len(self._known) == _MANY:
            warnings.warn(
                f"no two of {_MANY} steps had inputs of the same shapes, so each was counted and none timed: "
                "give the meter only what the FLOPs depend on, such as with meter(x):",
                stacklevel=3,
            )

    def __enter__(self):
        raise TypeError("a meter tells steps apart by their inputs: write with meter(x): ...")

    def __exit__(self, *exception):
        """Exist, so that Python calls `__enter__`, whose error says what to write."""

    @property
    def flop_per_s(self) -> float | None:
        return self._timed_flops / self._seconds if self._seconds else None

    @property
    def mfu(self) -> float | None:
        return self._utilization(self._timed_model_flops)

    @property
    def hfu(self) -> float | None:
        return self._utilization(self._timed_flops)

    def _utilization(self, flops: int) -> float | None:
        if self.peak_flop_per_s is None or not self._seconds:
            return None
        return flops / self._seconds / self.peak_flop_per_s

    def __repr__(self):
        rate = f" at {si(self.flop_per_s, 'FLOP/s')}" if self.flop_per_s else ""
        peak = self.peak_flop_per_s
        utilization = f", MFU {self.mfu:.1%} of {si(peak, 'FLOP/s')}" if peak and self.mfu else ""
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"<{steps}, {si(self.flops, 'FLOPs')}{rate}{utilization}>"


def _promised(device: str | None, dtype: str | torch.dtype | None, given: float | None) -> float | None:
    """Return the peak as given, or the one that a data sheet promises."""
    if device is None and dtype is None:
        return given
    if given is not None:
        raise TypeError("both a peak and a device are given: write peak_flop_per_s=..., or device=... and dtype=...")
    if dtype is None:
        raise TypeError(f"device={quoted(device)} has a peak for each format: write dtype='bf16', or another, too")
    return promised_peak(device, dtype)


def _is_peak(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < inf


@singledispatch
def _shape(value: object) -> Hashable:
    """Return what decides whether two inputs are metered alike, without keeping their data."""
    if isinstance(value, _TOLD_BY_VALUE):
        return value
    if hasattr(type(value), "__array__"):  # of NumPy, which has a shape as well
        return getattr(value, "shape", ()), str(getattr(value, "dtype", ""))
    if held := _held(value):  # also where it compares by value, for it may hold data
        return type(value), _shape(held)
    if isinstance(value, Hashable) and type(value).__hash__ is not object.__hash__:
        return value
    raise TypeError(f"{value!r} is not an input to know a step by: give tensors, numbers or text")


def _held(value: object) -> dict[str, object]:
    """Return what an object holds, by name."""
    slots = (name for kind in type(value).__mro__ for name in _names(vars(kind).get("__slots__", ())))
    held = {name: getattr(value, name) for name in slots if name != "__dict__" and hasattr(value, name)}
    return held | getattr(value, "__dict__", {})


def _names(slots: str | Iterable[str]) -> Iterable[str]:
    return (slots,) if isinstance(slots, str) else slots


#: What is known by its value, or is there once: other objects are equal to themselves alone, or hold data.
_TOLD_BY_VALUE = (
    str, bytes, int, float, complex, type, NoneType, FunctionType, torch.dtype, torch.layout, torch.memory_format
)  # fmt: skip


@_shape.register
def _(value: Mapping) -> Hashable:
    return tuple((name, _shape(item)) for name, item in value.items())


@_shape.register(list)
@_shape.register(tuple)
def _(value: list | tuple) -> Hashable:
    return tuple(map(_shape, value))


@_shape.register
def _(value: frozenset) -> Hashable:
    return frozenset(Counter(map(_shape, value)).items())


@_shape.register
def _(value: nn.Module) -> Hashable:
    return ref(value)


@_shape.register
def _(value: torch.Tensor) -> Hashable:
    kind = type(value), value.dtype, value.device, value.requires_grad, value.layout
    if value.is_nested:  # the shape of a nested tensor is a new symbol each time
        sizes = value.offsets() if value.layout is torch.jagged else value._nested_tensor_size()  # type: ignore[attr-defined]
        return *kind, str(sizes.tolist()), value.values().shape[1:] if value.layout is torch.jagged else None
    if is_traceable_wrapper_subclass(value):
        return *kind, value.shape, *(_shape(getattr(value, name)) for name in value.__tensor_flatten__()[0])
    return *kind, value.shape, value._nnz() if value.layout in SPARSE else None
