"""Measure one training step: its FLOPs, seconds and bytes, by phase, operator and module."""

import json
import os
import sys
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from time import monotonic
from typing import NamedTuple

import torch
from torch import nn

from flopbook.counts.breakdown import Breakdown
from flopbook.counts.views import Choice, Column, Views, dump
from flopbook.files import write_whole
from flopbook.measure.machine import Roof, find_roof
from flopbook.measure.memory import Memory, MemoryProfile, watch_memory, weigh
from flopbook.measure.profiler import TimeProfile, profile_time
from flopbook.measure.report.bottlenecks import Bottleneck, Share, bottlenecks, shares
from flopbook.measure.report.chrome_trace import OrderedCount, trace_step
from flopbook.measure.report.observe import (
    Configuration,
    batch,
    check,
    check_peak,
    configuration,
    count_tokens,
    format_of,
    kind_of_device,
    observe,
)
from flopbook.measure.report.roofline import Line, by_module, by_operator, line
from flopbook.measure.report.rule_of_thumb import Formula, formulas
from flopbook.measure.report.show import as_dict, columns, html, text
from flopbook.measure.report.work import Work, watch_bytes, works
from flopbook.measure.restore import restoring
from flopbook.measure.timing import Timing, time_modules, time_step

_SECONDS = 0.3  # to time the step
_MOST = 50  # steps in which modules are timed
_PROFILED = 10  # steps under the profiler
_PATIENCE = 1.0  # seconds before the terminal shows the stage


class Projection(NamedTuple):
    """Holds the FLOPs of many steps like the measured one; seconds if that was timed."""

    steps: int
    flops: int
    seconds: float | None


@dataclass(frozen=True)
class Report(Views):
    """Shows what one step of a model takes, made by :meth:`measure`.

    A report prints as text and, in a notebook, as tables that fold. It holds
    plain data only, neither the model nor its tensors.

    Attributes
    ----------
    configuration : Configuration
        Model, device, types, optimizers and PyTorch's version.
    parameters, trainable : int
        Number of the model's parameters, each counted once; and of those that are
        trained.
    samples : int
        Number of samples in the batch.
    tokens : int or None
        Number of tokens in the batch, where the model is called with integers.
    counted : Breakdown
        FLOPs of each phase, operator and module.
    timing : Timing or None
        Seconds of a step; None on the meta device, where nothing runs.
    latency : dict of str to float
        Seconds of each module's forward pass, by path.
    memory : Memory
        Bytes that a step holds, by kind.
    held : MemoryProfile
        Bytes that a step holds, operator by operator.
    spent : TimeProfile or None
        Seconds of a step, operator by operator; None on the meta device.
    work : tuple of Work
        FLOPs, bytes read and bytes written of each operator in each module
        and phase.
    roof : Roof or None
        Peak and bandwidth that the step is held to: those of the data sheet
        of a known device, else those measured here. None on the meta device,
        unless a device is named.
    trace : str or None
        The step's trace, for `save_trace`.

    Examples
    --------
    >>> import torch
    >>> model = torch.nn.Linear(16, 5)
    >>> optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    >>> x = torch.randn(8, 16)
    >>> def step():
    ...     optimizer.zero_grad()
    ...     model(x).square().mean().backward()
    ...     optimizer.step()
    >>> report = Report.measure(step, model=model)
    >>> report.total, report.flops_per_sample, report.parameters
    (2560, 320.0, 85)
    >>> report.formulas["total"]
    Formula(factor=6, flops=4080, error=0.59375)
    >>> report.project(steps=1000).flops
    2560000
    """

    configuration: Configuration
    parameters: int
    trainable: int
    samples: int
    tokens: int | None
    counted: Breakdown
    timing: Timing | None
    latency: Mapping[str, float]
    memory: Memory
    held: MemoryProfile = field(repr=False)
    spent: TimeProfile | None = field(repr=False)
    work: tuple[Work, ...] = field(repr=False)
    roof: Roof | None
    trace: str | None = field(repr=False)

    @classmethod
    def measure(  # noqa: PLR0913  (all but two are named)
        cls,
        step: Callable[[], object],
        model: nn.Module,
        *,
        samples: int | None = None,
        tokens: int | None = None,
        device: str | None = None,
        dtype: str | torch.dtype | None = None,
        restore: Collection[object] = (),
    ) -> "Report":
        """Count, weigh, time and trace a step, and leave everything as it was.

        Parameters
        ----------
        step : callable
            Takes no argument; runs the forward pass and, if there are, backward
            pass and optimizer. It is called several times.
        model : Module
            The model that the step calls.
        samples : int, optional
            Number of samples in the batch. Unless given, the leading axis of the
            first tensor that the model is called with.
        tokens : int, optional
            Number of tokens in the batch. Unless given, the elements of that
            tensor, where they are integers of 32 or 64 bits; give what it
            should be where these are not tokens, such as categories.
        device : str, optional
            A device whose data sheet gives the peak and the bandwidth to hold
            the step to, such as ``"H100 SXM"``. Unless given, the accelerator
            that is here; where no data sheet is known, such as for a
            processor, both are measured, once in a process.
        dtype : str or torch.dtype, optional
            Format of the operands at which the device has that peak, such as
            ``"bf16"``; the type of the parameters unless given.
        restore : collection of object
            Objects that the step changes besides the model and its optimizers,
            such as a learning-rate scheduler, a gradient scaler or a second
            model: what they hold is brought back too.

        Returns
        -------
        Report
            What the step takes, as plain data.

        Raises
        ------
        TypeError
            If `step` cannot be called or needs arguments, `model` is not a
            module or is a scripted one, or something to restore holds nothing.
        ValueError
            If the step never calls the model, `samples` or `tokens` are not
            positive or cannot be seen, the model has lazy parameters, or no
            data sheet of the device is known, or none of its peaks at the
            format.
        RuntimeError
            If torch.profiler runs already.

        Notes
        -----
        At the end, or after an error in the step, these are brought back:
        parameters, buffers, gradients, modes and attributes of the model,
        optimizers with their state, and the random numbers of Python, NumPy
        and PyTorch. State outside of these is not, such as the position of a
        data iterator: let the step reuse one batch, or name the object in
        `restore`. On an accelerator the statistic of its peak memory starts
        anew.
        """
        check(step, model, samples, tokens, restore)
        check_peak(device, dtype, model)
        with _Stages() as stage, restoring(model, restore) as state:
            stage("counting")
            with observe(model) as seen, OrderedCount() as counted, watch_bytes(counted.place) as moved:
                step()
            taken = batch(model, seen, samples)
            described = configuration(model, seen)
            roof = find_roof(device, dtype or format_of(model), kind_of_device(model, seen))
            work = works(moved, counted.calls)
            stage("weighing")
            memory = weigh(step, model, seen.optimizers)
            held = watch_memory(step)
            timing, latency, spent, traced = None, {}, None, None
            if "meta" not in described.device:
                stage("timing")
                timing = time_step(step, _SECONDS)
                latency = time_modules(step, counted.paths, min(timing.calls, _MOST))
                operators = {part.operator for part in work}
                spent = profile_time(step, operators, min(timing.calls, _PROFILED))
                stage("tracing")
                state.restore()  # so that the traced step is equal to the counted one
                traced = json.dumps(trace_step(step, counted.order))
        sizes = {parameter: parameter.numel() for parameter in model.parameters()}
        return cls(
            configuration=described,
            parameters=sum(sizes.values()),
            trainable=sum(size for parameter, size in sizes.items() if parameter.requires_grad),
            samples=taken,
            tokens=count_tokens(seen, tokens),
            counted=counted.breakdown,
            timing=timing,
            latency=latency,
            memory=memory,
            held=held,
            spent=spent,
            work=work,
            roof=roof,
            trace=traced,
        )

    @property
    def forward(self) -> int:
        """Return the FLOPs of the forward pass's contractions."""
        return self.counted.step.costs["forward"].contractions

    @property
    def backward(self) -> int:
        """Return the FLOPs of the backward pass's contractions."""
        return self.counted.step.costs["backward"].contractions

    @property
    def total(self) -> int:
        """Return the FLOPs of all contractions."""
        return self.counted.step.cost.contractions

    @property
    def flops_per_sample(self) -> float:
        """Divide the FLOPs of all contractions by the batch."""
        return self.total / self.samples

    @property
    def flops_per_token(self) -> float | None:
        """Divide the FLOPs of all contractions by the tokens; None where there are none."""
        return self.tokens and self.total / self.tokens

    @property
    def flop_per_s(self) -> float | None:
        """Divide the FLOPs of all contractions by a step's seconds; None if untimed."""
        return self.timing and self.timing.flop_per_s(self.total)

    @property
    def model_flops(self) -> int:
        """Return the FLOPs of forward and backward pass, without whatever runs again."""
        return self.forward + self.backward - sum(self.counted.remade[phase] for phase in ("forward", "backward"))

    def mfu(self, peak_flop_per_s: float | None = None) -> float | None:
        """Divide the model's FLOPs by a step's seconds and the peak; None if untimed.

        Parameters
        ----------
        peak_flop_per_s : float, optional
            Dense peak of the device in the step's format; that of the data
            sheet in `roof` unless given.

        Raises
        ------
        ValueError
            If the peak is not a positive number, or there is no data sheet.

        Examples
        --------
        >>> import torch
        >>> model, x = torch.nn.Linear(16, 5), torch.randn(8, 16)
        >>> report = Report.measure(lambda: model(x).sum().backward(), model=model)
        >>> report.mfu(peak_flop_per_s=1e12) == report.model_flops / report.timing.seconds / 1e12
        True
        """
        return self._utilization(self.model_flops, peak_flop_per_s)

    def hfu(self, peak_flop_per_s: float | None = None) -> float | None:
        """Divide all contractions' FLOPs by a step's seconds and the peak; None if untimed."""
        return self._utilization(self.total, peak_flop_per_s)

    def _utilization(self, flops: int, peak: float | None) -> float | None:
        if peak is None and self.roof and not self.roof.is_measured:
            peak = self.roof.peak_flop_per_s
        if not isinstance(peak, (int, float)) or isinstance(peak, bool) or not 0 < peak < inf:
            raise ValueError(f"peak_flop_per_s={peak!r} is not a peak: write a positive number of FLOP/s")
        return self.timing and self.timing.flop_per_s(flops) / peak

    @cached_property
    def roofline(self) -> list[Line]:
        """List bytes, intensity and seconds of each operator, beside the seconds that `roof` allows."""
        return by_operator(self.work, self.roof, self.spent)

    @cached_property
    def modules(self) -> dict[str, Line]:
        """Return the same of each module's forward pass, by path."""
        return by_module(self.work, self.roof, self.latency)

    @property
    def whole(self) -> Line:
        """Return the same of the whole step."""
        return line("step", self.work, self.roof, self.timing and self.timing.seconds)

    @property
    def formulas(self) -> dict[str, Formula]:
        """Compare 2, 4 and 6 x parameters x batch, or tokens where there are some, with the counts of phases."""
        counted = {"forward": self.forward, "backward": self.backward, "total": self.total}
        return formulas(self.parameters, self.tokens or self.samples, counted)

    @cached_property
    def shares(self) -> dict[str, Share]:
        """Return the part of time and FLOPs of each category of work; empty if untimed."""
        return shares(self.counted, self.spent) if self.spent else {}

    @property
    def bottlenecks(self) -> list[Bottleneck]:
        """List the categories that are worth working on, most time first."""
        return bottlenecks(self.shares) if self.shares else []

    def project(self, steps: int = 10_000) -> Projection:
        """Multiply FLOPs and seconds by a number of steps.

        Raises
        ------
        ValueError
            If `steps` is not a positive integer.
        """
        if not isinstance(steps, int) or isinstance(steps, bool) or steps < 1:
            raise ValueError(f"steps={steps!r}: give how many steps, 1 or more")
        return Projection(steps, steps * self.total, self.timing and steps * self.timing.seconds)

    @property
    def breakdown(self) -> Breakdown:
        """Return the count, as `counted` does."""
        return self.counted

    def _columns(self) -> list[Column]:
        return columns(self)

    def _tables(self, chosen: Choice) -> Iterator[str]:
        return text(self, chosen)

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return html(self)

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """Return the report as JSON, and write it to a file if one is named."""
        return dump(as_dict(self), path)

    def save_trace(self, path: str | os.PathLike) -> None:
        """Write the step's trace for ui.perfetto.dev or chrome://tracing, with FLOPs on its events.

        Raises
        ------
        ValueError
            If the model is on the meta device, where nothing runs.
        """
        if self.trace is None:
            raise ValueError("nothing runs on the meta device, so there is no trace: measure on a real one")
        write_whole(path, self.trace)


class _Stages:
    """Shows the stage of a long measurement on a terminal, and clears it afterwards."""

    def __init__(self) -> None:
        self._started, self._is_shown = monotonic(), False

    def __call__(self, name: str) -> None:
        if sys.stderr.isatty() and monotonic() - self._started > _PATIENCE:
            self._is_shown = True
            print(f"\r\x1b[K{name} ...", end="", file=sys.stderr, flush=True)

    def __enter__(self) -> "_Stages":
        return self

    def __exit__(self, *exception: object) -> None:
        if self._is_shown:
            print("\r\x1b[K", end="", file=sys.stderr, flush=True)
