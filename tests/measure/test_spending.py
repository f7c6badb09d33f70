"""Seconds by operator, bytes over time, and what follows from them."""

import pytest
import torch
from torch import nn

from flopbook.labs.dissection import dissect
from flopbook.labs.results import Results
from flopbook.measure import FlopCount
from flopbook.measure.report.bottlenecks import CATEGORIES, Share, bottlenecks, shares
from flopbook.measure.spending import BETWEEN, profile_time, watch_memory


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(5, 7), nn.SiLU(), nn.Linear(7, 3))


@pytest.fixture
def step(model):
    optimizer, x = torch.optim.AdamW(model.parameters()), torch.randn(11, 5)

    def run():
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    return run


def counted(step):
    with FlopCount() as count:
        step()
    return count.breakdown


def test_times_add_up_to_the_step_and_calls_are_those_counted(step):
    breakdown = counted(step)
    names = {row.operator for row in breakdown.operators}
    spent = profile_time(step, names, steps=3)
    assert sum(row.seconds for row in spent.operators) == pytest.approx(spent.seconds)
    calls = {(row.phase, row.operator): row.calls for row in spent.operators if row.operator in names}
    assert calls == {(row.phase, row.operator): row.calls for row in breakdown.operators}
    assert {row.phase for row in spent.operators if row.operator == BETWEEN} == {"forward", "backward", "optimizer"}


def test_a_step_on_the_processor_takes_its_time_beside_an_accelerator_too(step, monkeypatch):
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "synchronize", lambda: None)
    spent = profile_time(step, {"aten::mm"}, steps=3)
    assert sum(row.seconds for row in spent.operators if row.operator == "aten::mm") > 0


def test_shares_are_of_the_whole(step):
    breakdown = counted(step)
    found = shares(breakdown, profile_time(step, {row.operator for row in breakdown.operators}, steps=3))
    assert tuple(found) == CATEGORIES
    assert sum(share.time for share in found.values()) == pytest.approx(1)
    whole = breakdown.step.cost.flops
    assert found["optimizer"].flops == breakdown.step.costs["optimizer"].flops / whole
    assert found[BETWEEN] == (found[BETWEEN].time, 0, 0)


def test_memory_returns_to_where_it_was_and_is_the_same_every_time(step):
    held = watch_memory(step)
    assert held.bytes[-1] == 0
    assert held == watch_memory(step)


def test_the_peak_of_an_inference_by_hand():
    layers, x = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), torch.randn(11, 5)
    with torch.no_grad():
        assert watch_memory(lambda: layers(x)).peak == 4 * 11 * (7 + 7)


def test_what_a_step_keeps_stays():
    kept, x = [], torch.ones(4)
    assert watch_memory(lambda: kept.append(x + 1)).bytes == (16, 16)
    assert watch_memory(lambda: None).peak == 0


def test_a_bottleneck_is_worth_its_work():
    found = {"contractions": Share(0.15, 0.9, 5), "optimizer": Share(0.25, 0.1, 40), BETWEEN: Share(0.6, 0, 0)}
    assert [(one.category, round(one.limit, 2)) for one in bottlenecks(found)] == [(BETWEEN, 2.5), ("optimizer", 1.33)]
    assert "40 calls of operators for 10.0% of the FLOPs" in str(bottlenecks(found)[1])
    assert [one.limit for one in bottlenecks({"contractions": Share(1.0, 1.0, 1)})] == [pytest.approx(1000)]


def test_a_dissection_leaves_everything_as_it_was(model, step, tmp_path):
    before = [parameter.clone() for parameter in model.parameters()]
    dissected = dissect(step, model=model)
    assert all(torch.equal(one, other) for one, other in zip(before, model.parameters(), strict=True))
    said = dissected.save(Results(tmp_path))
    names = [line.partition(" is in ")[0] for line in said]
    assert sorted(names) == sorted(path.name for path in tmp_path.iterdir())
    assert {"profile.json", "step.pt.trace.json", "bottlenecks.svg", "memory.svg"} < set(names)
