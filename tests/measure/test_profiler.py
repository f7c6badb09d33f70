"""Test what torch.profiler reports, as a tally."""

from types import SimpleNamespace

import pytest
import torch

from flopbook.counts.tally import Total
from flopbook.measure import FlopCount, profile_flops, profile_time
from flopbook.measure.profiler import BETWEEN


@pytest.fixture
def layer():
    return torch.nn.Linear(5, 3)


def test_phases_and_operators(layer):
    profiled = profile_flops(lambda: layer(torch.ones(2, 5)).sum().backward())
    assert profiled.witness == "profiled"
    assert (profiled.forward, profiled.backward, profiled.total) == (60, 60, 120)
    assert profiled.by_operator == {"aten::addmm": Total(60, 1), "aten::mm": Total(60, 1)}


def test_additions_and_multiplications_are_pointwise():
    x = torch.ones(7)
    profiled = profile_flops(lambda: x + x * x)
    assert (profiled.total, profiled.by_operator) == (0, {})
    assert profiled.pointwise["forward"] == 14


def test_an_optimizer_is_a_phase_of_its_own(layer):
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1, foreach=False, weight_decay=0.5)
    layer(torch.ones(2, 5)).sum().backward()
    profiled = profile_flops(optimizer.step)
    assert {call.phase for call in profiled.calls} == {"optimizer"}


def test_the_profiler_is_silent_about_a_matrix_times_a_vector():
    assert profile_flops(lambda: torch.ones(3, 4) @ torch.ones(4)).total == 0


def test_a_step_runs_once():
    runs = []
    profile_flops(lambda: runs.append(1))
    assert runs == [1]


@pytest.mark.parametrize("step", [None, 3, "x @ w"])
def test_what_cannot_be_called_is_quoted(step):
    with pytest.raises(TypeError) as error:
        profile_flops(step)
    assert str(error.value) == f"{step!r} cannot be called: write profile_flops(lambda: ...)"


def test_an_error_in_the_step_leaves_the_profiler_ready():
    with pytest.raises(ZeroDivisionError):
        profile_flops(lambda: 1 / 0)
    assert profile_flops(lambda: torch.ones(2, 3) @ torch.ones(3, 4)).total == 48


def test_a_profiler_that_runs_already():
    with pytest.raises(RuntimeError) as error:
        profile_flops(lambda: profile_flops(lambda: None))
    assert str(error.value) == "torch.profiler runs already: call profile_flops outside of its with block"


def test_times_add_up_to_the_step_and_calls_are_those_counted(adamw):
    with FlopCount() as counted:
        adamw()
    rows = counted.breakdown.operators
    spent = profile_time(adamw, {row.operator for row in rows}, steps=3)
    assert sum(row.seconds for row in spent.operators) == pytest.approx(spent.seconds)
    names = {row.operator for row in rows}
    calls = {(row.phase, row.operator): row.calls for row in spent.operators if row.operator in names}
    assert calls == {(row.phase, row.operator): row.calls for row in rows}
    assert {row.phase for row in spent.operators if row.operator == BETWEEN} == {"forward", "backward", "optimizer"}


def test_a_step_on_the_processor_takes_its_time_beside_an_accelerator_too(adamw, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    stream = SimpleNamespace(is_capturing=lambda: False)  # an optimizer of PyTorch 2.14 asks it
    monkeypatch.setattr(torch.accelerator, "current_stream", lambda: stream)
    spent = profile_time(adamw, {"aten::mm"}, steps=3)
    assert sum(row.seconds for row in spent.operators if row.operator == "aten::mm") > 0
