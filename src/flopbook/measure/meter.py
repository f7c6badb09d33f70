"""FLOPs and FLOP/s of a training loop as it goes, at the cost of a clock."""

from collections.abc import Hashable, Iterator, Mapping
from contextlib import contextmanager
from math import inf
from time import perf_counter
from typing import Never

import torch

from flopbook.measure.counting.count import FlopCount
from flopbook.measure.operators.products import SPARSE
from flopbook.measure.timing import now
from flopbook.units import si


class FlopMeter:
    """Counts a step once for each shape of its inputs, and only times it thereafter.

    Parameters
    ----------
    peak_flop_per_s : float, optional
        Dense peak of the device at the step's data type, for `mfu`.

    Attributes
    ----------
    steps : int
        Steps so far.
    flops : int
        FLOPs of the contractions of all steps.
    flop_per_s : float or None
        FLOP/s of the steps that were only timed, not counted.
    mfu : float or None
        Model FLOPs utilization: forward and backward FLOPs, without what is computed
        again, over seconds and peak. None where the peak is not given.
    count : FlopCount or None
        The count of the last step's shape.

    Raises
    ------
    TypeError
        If something else is given by name.
    ValueError
        If the peak is not a positive number.

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
    """

    def __init__(self, peak_flop_per_s: float | None = None, **unknown: Never):
        if unknown:
            raise TypeError(f"a meter takes no {', '.join(unknown)}: write FlopMeter(peak_flop_per_s=...)")
        if peak_flop_per_s is not None and not _is_peak(peak_flop_per_s):
            raise ValueError(f"peak_flop_per_s={peak_flop_per_s!r} is no peak: write a positive number of FLOP/s")
        self.peak_flop_per_s = peak_flop_per_s
        self.steps = 0
        self.flops = 0
        self.count: FlopCount | None = None
        self._counts: dict[tuple, tuple[FlopCount, int, int]] = {}
        self._timed_flops = self._timed_model_flops = 0
        self._seconds = 0.0

    @contextmanager
    def __call__(self, *inputs: object) -> Iterator[None]:
        """Meter the step in the block.

        Parameters
        ----------
        *inputs : Tensor, hashable, or list or dict of them
            What the FLOPs of the step depend on: its tensors, told apart by
            shape, type, device and whether they need a gradient, and anything
            else, such as whether a layer is frozen by now. Whether gradients
            are on is seen without being told.

        Raises
        ------
        TypeError
            If an input is none of these.
        """
        key = torch.is_grad_enabled(), *(_shape(value) for value in inputs)
        if key not in self._counts:
            with FlopCount() as count:
                yield
            self._counts[key] = count, count.total, count.forward + count.backward
        else:
            start = perf_counter()
            yield
            self._seconds += now() - start
            self._timed_flops += self._counts[key][1]
            self._timed_model_flops += self._counts[key][2]
        self.count, flops, _ = self._counts[key]
        self.steps += 1
        self.flops += flops

    def __enter__(self):
        raise TypeError("a meter tells steps apart by their inputs: write with meter(x): ...")

    __exit__ = None  # without it, Python would complain before

    @property
    def flop_per_s(self) -> float | None:
        return self._timed_flops / self._seconds if self._seconds else None

    @property
    def mfu(self) -> float | None:
        if self.peak_flop_per_s is None or not self._seconds:
            return None
        return self._timed_model_flops / self._seconds / self.peak_flop_per_s

    def __repr__(self):
        rate = f" at {si(self.flop_per_s, 'FLOP/s')}" if self.flop_per_s else ""
        utilization = f", MFU {self.mfu:.1%}" if self.mfu else ""
        steps = "1 step" if self.steps == 1 else f"{self.steps} steps"
        return f"<{steps}, {si(self.flops, 'FLOPs')}{rate}{utilization}>"


def _is_peak(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < inf


def _shape(value: object) -> Hashable:
    """What two inputs share that are metered alike."""
    if isinstance(value, torch.Tensor):
        stored = value._nnz() if value.layout in SPARSE else None
        return value.shape, value.dtype, value.device, value.requires_grad, value.layout, stored
    if isinstance(value, Mapping):
        return tuple((name, _shape(item)) for name, item in value.items())
    if isinstance(value, (list, tuple)):
        return tuple(map(_shape, value))
    if not isinstance(value, Hashable):
        raise TypeError(f"{value!r} is no input to know a step by: give tensors, numbers or text")
    return value
