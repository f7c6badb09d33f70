"""Test that the events of a trace have FLOPs, module and phase."""

import json

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from flopbook.counts.tally import Call
from flopbook.measure import Report
from flopbook.measure.report.chrome_trace import OrderedCount, _annotate


class Checkpointed(nn.Module):
    def __init__(self):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 6)) for _ in range(2))

    def forward(self, x):
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False)
        return x


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.conv = nn.LSTM(6, 5, batch_first=True), nn.Conv1d(4, 3, 2)

    def forward(self, x):
        return self.conv(self.lstm(x)[0])


class Attending(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def report_of(model):
    optimizer = torch.optim.AdamW(model.parameters())

    def step():
        optimizer.zero_grad()
        model(torch.ones(5, 4, 6)).square().mean().backward()
        optimizer.step()

    return Report.measure(step, model=model)


@pytest.fixture(scope="module", params=[Checkpointed, Recurrent, Attending, lambda: nn.Linear(6, 3)])
def report(request):
    return report_of(request.param())


@pytest.fixture
def events(report, tmp_path):
    report.save_trace(tmp_path / "trace.json")
    return json.loads((tmp_path / "trace.json").read_text())["traceEvents"]


def test_the_events_say_all_flops(report, events):
    said = [event["args"]["FLOPs"] for event in events if "FLOPs" in event.get("args", {})]
    assert sum(said) == report.total > 0
    assert json.loads(report.trace)["otherData"] == {"FLOPs": report.total, "FLOPs on events": report.total}


def test_the_events_say_phase_and_module(report, events):
    flops = dict.fromkeys(report.counted.step.costs, 0)
    paths = {node.path for _, node in report.counted.step.walk()}
    for event in events:
        arguments = event.get("args", {})
        flops[arguments.get("phase", "forward")] += arguments.get("FLOPs", 0)
        assert arguments.get("module", "") in paths
    assert flops == {phase: cost.contractions for phase, cost in report.counted.step.costs.items()}


def test_it_is_in_the_trace_event_format(events):
    assert {event["ph"] for event in events} <= set("XBEibnesftMC")
    for event in events:
        assert isinstance(event["name"], str)
        if event["ph"] == "X":
            assert event["ts"] >= 0 and event["dur"] >= 0
            assert {"pid", "tid", "cat"} <= event.keys()


def test_it_does_not_say_where_it_was_made(report):
    assert "traceName" not in json.loads(report.trace)


def test_a_path_that_leads_nowhere(report, tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        report.save_trace(tmp_path / "missing" / "trace.json")


def test_calls_are_kept_in_order():
    layers = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 2), nn.ReLU())
    with OrderedCount() as counted:
        layers(torch.ones(4, 2))
        layers(torch.ones(4, 2))
    one = ["aten::addmm", "aten::relu", "aten::addmm", "aten::relu"]
    assert [call.operator for call in counted.order] == one + one
    assert sum(call.flops for call in counted.order) == counted.total


def event(name, ts, dur=1.0):
    return {"name": name, "ts": ts, "dur": dur, "tid": 1, "args": {}}


def call(operator, flops, pointwise=0):
    return Call("forward", "Net", operator, flops, pointwise)


def test_an_event_inside_of_a_counted_one_is_part_of_it():
    events = [event("addmm", 0, dur=5), event("mm", 1), event("mm", 9)]
    assert _annotate(events, [call("addmm", 7), call("mm", 3)]) == 10
    assert [found["args"].get("FLOPs") for found in events] == [7, None, 3]


def test_a_call_that_was_broken_off_has_no_flops():
    events = [event("mm", 0), event("addmm", 2), event("mm", 4), event("bmm", 6), event("addmm", 8)]
    assert _annotate(events, [call("mm", 1), call("mm", 2), call("bmm", 4), call("addmm", 8)]) == 15
    assert [found["args"].get("FLOPs") for found in events] == [1, None, 2, 4, 8]


def test_an_operator_with_events_missing_says_nothing():
    events = [event("mm", 0), event("bmm", 2)]
    assert _annotate(events, [call("mm", 1), call("mm", 2), call("bmm", 4)]) == 4
    assert [found["args"].get("FLOPs") for found in events] == [None, 4]


def test_pointwise_operators_say_theirs():
    events = [event("relu", 0), event("mm", 2)]
    _annotate(events, [call("relu", 0, 6), call("mm", 3)])
    assert events[0]["args"] == {"pointwise FLOPs": 6, "module": "Net", "phase": "forward"}
