"""A trace for Perfetto or Chrome whose events say their FLOPs, module and phase."""

import json
import os
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn
from torch.profiler import ProfilerActivity, profile

from flopbook.compiling import eager_when_compiled
from flopbook.counting import FlopCount
from flopbook.tally import Call

Event = dict[str, Any]

os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # the profiler would write lines of its own to standard error


class _Calls(dict):
    """A tally that also keeps the order of the calls."""

    def __init__(self) -> None:
        super().__init__()
        self.order: list[tuple] = []

    def __missing__(self, key: tuple) -> int:
        return 0

    def __setitem__(self, key: tuple, calls: int) -> None:
        self.order.append(key)
        super().__setitem__(key, calls)


class OrderedCount(FlopCount):
    """A count that also keeps the order of the calls.

    Attributes
    ----------
    order : list of Call
        One for each call.
    paths : dict of Module to str
        Every module of those that ran; one that has several paths, by its first.
    """

    def _reset(self) -> None:
        super()._reset()
        self._tally = self._mode._tally = _Calls()

    @property
    def order(self) -> list[Call]:
        return [Call(*key) for key in self._tally.order]

    @property
    def paths(self) -> dict[nn.Module, str]:
        return {module: path for path, module in reversed(self._modules.modules.items())}


def trace_step(step: Callable[[], object], order: Sequence[Call]) -> dict[str, Any]:
    """Profile one step, and write on each operator's event what was counted of it.

    Parameters
    ----------
    step : callable
        Runs once. A compiled function runs uncompiled.
    order : sequence of Call
        What was counted of the same step, in order.

    Returns
    -------
    dict
        In the trace event format. ``otherData`` has the FLOPs of all
        contractions, and how many of them an event was found for.
    """
    activities = [ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(ProfilerActivity.CUDA)
    with eager_when_compiled(), profile(activities=activities, record_shapes=True, profile_memory=True) as profiler:
        step()
    with TemporaryDirectory() as folder:
        exported = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(exported))
        found = json.loads(exported.read_text(encoding="utf-8"))
    found.pop("traceName", None)  # where the temporary file was
    events = [event for event in found["traceEvents"] if event.get("cat") == "cpu_op"]
    found["otherData"] = {
        "FLOPs": sum(call.flops for call in order),
        "FLOPs on events": _annotate(events, order),
    }
    return found


def _annotate(events: Iterable[Event], order: Iterable[Call]) -> int:
    """Pair events with calls of the same operator, in order; FLOPs of the calls that were paired."""
    expected: defaultdict[str, list[Call]] = defaultdict(list)
    for call in order:
        expected[call.operator].append(call)
    found = _outermost(events, expected)
    total = 0
    for operator, calls in expected.items():
        if len(found[operator]) == len(calls):  # else which belongs to which is unknown
            for event, call in zip(found[operator], calls, strict=True):
                event["args"] |= _said(call)
                total += call.flops
    return total


def _outermost(events: Iterable[Event], operators: Container[str]) -> defaultdict[str, list[Event]]:
    """Events of these operators in order, without those inside of one: what an operator calls was not counted."""
    found: defaultdict[str, list[Event]] = defaultdict(list)
    until: defaultdict[int, float] = defaultdict(float)
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        if event["name"] in operators and event["ts"] >= until[event["tid"]]:
            found[event["name"]].append(event)
            until[event["tid"]] = event["ts"] + event["dur"]
    return found


def _said(call: Call) -> dict[str, Any]:
    said = {"FLOPs": call.flops, "pointwise FLOPs": call.pointwise, "module": call.module}
    return {name: value for name, value in said.items() if value} | {"phase": call.phase}
