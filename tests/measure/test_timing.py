"""Test seconds of a step, without a condition on times themselves."""

import pytest
import torch
from torch import nn

from flopbook.measure import time_step, timing
from flopbook.measure.timing import Timing, time_modules


def test_a_step_is_called_and_its_calls_are_counted():
    calls = []
    timing = time_step(lambda: calls.append(1), at_least_seconds=0.001)
    assert timing.seconds > 0
    assert timing.spread_seconds >= 0
    assert 1 <= timing.calls <= len(calls)


def test_flop_per_s_is_flops_by_seconds():
    assert Timing(seconds=0.5, spread_seconds=0, calls=1).flop_per_s(10) == 20


@pytest.mark.parametrize("step", [None, 3, "x @ w"])
def test_what_cannot_be_called_is_quoted(step):
    with pytest.raises(TypeError) as error:
        time_step(step)
    assert str(error.value) == f"{step!r} cannot be called: write time_step(lambda: ...)"


def test_an_error_in_the_step_is_the_readers():
    with pytest.raises(ZeroDivisionError):
        time_step(lambda: 1 / 0)


def test_a_timing_says_on_how_many_threads():
    assert time_step(lambda: None, at_least_seconds=0).threads == torch.get_num_threads()


def test_where_processes_wait_for_one_another_no_clock_decides_how_many_steps_run(monkeypatch):
    monkeypatch.setattr(timing, "several_processes", lambda: True)
    calls = []
    assert time_step(lambda: calls.append(1), at_least_seconds=60).calls == 5
    assert len(calls) == 6


def test_each_module_has_its_seconds_and_those_of_all_that_it_holds():
    model = nn.Sequential(nn.Linear(3, 2), nn.ReLU())
    seconds = time_modules(lambda: model(torch.ones(4, 3)), {model: "model", model[1]: "relu"}, steps=3)
    assert seconds.keys() == {"model", "relu"}
    assert seconds["model"] > seconds["relu"] > 0
