"""Trace a step for Perfetto or Chrome, with FLOPs, module and phase on each event."""

import json
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import get_ident
from typing import Any

import torch
from torch import nn

from flopbook.counts.tally import Call
from flopbook.measure.counting.compiled import eager_when_compiled
from flopbook.measure.counting.count import FlopCount
from flopbook.measure.profiler import torch_profiler

_current_node = torch._C._current_autograd_node

Event = dict[str, Any]


class _Calls(defaultdict):
    """Counts calls, and keeps their order too."""

    def __init__(self) -> None:
        super().__init__(int)
        self.order: list[tuple] = []

    def __missing__(self, key: tuple) -> int:
        return 0  # a defaultdict would also store the key, as if there were one more call

    def __setitem__(self, key: tuple, calls: int) -> None:
        self.order.append(key)
        super().__setitem__(key, calls)


class OrderedCount(FlopCount):
    """Counts the calls of operators, and keeps their order too.

    Attributes
    ----------
    order : list of Call
        Each call, in the order in which they ran.
    paths : dict of Module to str
        The path of every module that ran; of a module with several paths, the first.
    """

    def _reset(self) -> None:
        super()._reset()
        self._noted = _Calls()
        self._tally = self._mode._calls = self._noted

    @property
    def order(self) -> list[Call]:
        return [Call(*key) for key in self._noted.order]

    def place(self) -> tuple[str, str]:
        """Return phase and module of the operator that runs now in this thread."""
        return self._modes.get(get_ident(), self._mode)._place(_current_node())

    @property
    def paths(self) -> dict[nn.Module, str]:
        return {module: path for path, module in reversed(self._places.modules.items())}


def trace_step(step: Callable[[], object], order: Sequence[Call]) -> dict[str, Any]:
    """Profile one step, and write the counted FLOPs on each operator's event.

    Parameters
    ----------
    step : callable
        Runs once. A compiled function runs uncompiled.
    order : sequence of Call
        The counted calls of the same step, in order.

    Returns
    -------
    dict
        A trace in the trace event format. ``otherData`` has the FLOPs of all
        contractions, and the FLOPs for which an event was found.
    """
    with eager_when_compiled(), torch_profiler(record_shapes=True) as profiler:
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


def _annotate(events: Iterable[Event], order: Sequence[Call]) -> int:
    """Write counts on the events; return the FLOPs for which one was found."""
    found = _outermost(events, {call.operator for call in order})
    contracting = {call.operator for call in order if call.flops}
    calls = [call for call in order if call.operator in contracting]
    pairs = _in_order((event for event in found if event["name"] in contracting), calls)
    if len(pairs) < len(calls):
        contracting, pairs = set(), []
    pairs += _by_operator(found, (call for call in order if call.operator not in contracting))
    for event, call in pairs:
        event["args"] |= _counts(call)
    return sum(call.flops for _, call in pairs)


def _outermost(events: Iterable[Event], operators: Container[str]) -> list[Event]:
    """Return the events of these operators in order, without events inside of another one.

    An operator that another operator calls is not counted.
    """
    found = []
    until: defaultdict[int, float] = defaultdict(float)
    for event in sorted(events, key=lambda event: (event["ts"], -event["dur"])):
        if event["name"] in operators and event["ts"] >= until[event["tid"]]:
            found.append(event)
            until[event["tid"]] = event["ts"] + event["dur"]
    return found


def _in_order(events: Iterable[Event], order: Iterable[Call]) -> list[tuple[Event, Call]]:
    """Pair each call with the next event of its name.

    Extra events belong to calls that a checkpoint started and abandoned; they are skipped.
    """
    pairs = []
    calls = iter(order)
    call = next(calls, None)
    for event in events:
        if call and event["name"] == call.operator:
            pairs.append((event, call))
            call = next(calls, None)
    return pairs


def _by_operator(events: Iterable[Event], order: Iterable[Call]) -> list[tuple[Event, Call]]:
    """Pair the calls of each operator that has as many events as calls.

    With more events than calls, nobody knows which event belongs to which call.
    """
    expected, found = defaultdict(list), defaultdict(list)
    for call in order:
        expected[call.operator].append(call)
    for event in events:
        found[event["name"]].append(event)
    equal = (name for name, calls in expected.items() if len(calls) == len(found[name]))
    return [pair for name in equal for pair in zip(found[name], expected[name], strict=True)]


def _counts(call: Call) -> dict[str, Any]:
    counts = {"FLOPs": call.flops, "pointwise FLOPs": call.pointwise, "module": call.module}
    return {name: value for name, value in counts.items() if value} | {"phase": call.phase}
