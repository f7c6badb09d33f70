"""Test that published reports follow from ours to the integer, errors included."""

import json
from copy import deepcopy
from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy, mse_loss

from flopbook.counts.breakdown import Cost
from flopbook.measure import Report, profile_flops


def trained(model, optimizer, loss, x, y):
    def step():
        optimizer.zero_grad()
        loss(model(x), y).backward()
        optimizer.step()

    return step


@pytest.fixture(scope="module")
def classifier():
    """Make a step of standard backpropagation: 429 features, 1880 classes, batch 256, SGD."""
    widths = (429, 1024, 1024, 1024, 1880)
    layers = [nn.Linear(*pair) for pair in pairwise(widths)]
    model = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))[:-1]
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    return trained(model, optimizer, cross_entropy, torch.randn(256, 429), torch.randint(1880, (256,))), model


@pytest.fixture(scope="module")
def report(classifier):
    step, model = classifier
    return Report.measure(step, model=model)


def test_backpropagation_to_the_integer(report):
    assert (report.total, report.flops_per_sample) == (6_628_048_896, 25_890_816)
    assert {
        (row.operator, row.cost.contractions, row.calls) for row in report.counted.operators if row.cost.contractions
    } == {
        ("aten::mm", 4_343_726_080, 7),
        ("aten::addmm", 2_284_322_816, 4),
    }


def test_the_profiler_says_the_same(report, classifier):
    profiled = profile_flops(classifier[0])
    assert profiled.total == report.total
    assert (profiled.forward, profiled.backward) == (report.forward, report.backward)


def test_parameters_optimizer_and_ratio_that_were_wrong_or_missing(report):
    assert report.parameters == 4_466_520
    assert report.counted.step.costs["optimizer"] == Cost(0, 2 * 4_466_520, 0)
    assert f"{report.backward / report.forward:.4f}" == "1.9015"


def test_the_rule_of_thumb_is_too_large(report):
    formula = report.formulas["total"]
    assert formula.flops == 6_860_574_720
    assert f"{formula.error:.1%}" == "3.5%"


def test_many_steps_are_not_cut_short(report):
    assert report.project(10_000).flops == 66_280_488_960_000


def test_all_of_it_is_in_the_text(report):
    text = str(report)
    for said in ("6,628,048,896", "4,343,726,080", "2,284,322,816", "25,890,816", "4,466,520", "8,933,040",
                 "1.9015", "6,860,574,720", "+3.5%", "66,280,488,960,000"):  # fmt: skip
        assert said in text
        assert said in report._repr_html_()


def test_all_of_it_is_in_the_json(report):
    said = json.loads(report.to_json())
    assert said["parameters"] == 4_466_520
    assert said["counted"]["flops"]["total"]["contractions"] == 6_628_048_896
    assert said["counted"]["flops"]["optimizer"]["pointwise"] == 8_933_040
    assert said["projection"]["flops"] == 66_280_488_960_000


def test_the_trace_says_all_flops(report):
    events = json.loads(report.trace)["traceEvents"]
    assert sum(event.get("args", {}).get("FLOPs", 0) for event in events) == 6_628_048_896


def test_data_that_needs_a_gradient_makes_backward_twice_forward(classifier):
    model = deepcopy(classifier[1]).to("meta")  # only FLOPs are asked for
    x = torch.empty(256, 429, requires_grad=True, device="meta")
    y = torch.empty(256, dtype=torch.long, device="meta")
    report = Report.measure(lambda: cross_entropy(model(x), y).backward(), model=model)
    assert report.total == 6_852_968_448 == 3 * report.forward


@pytest.fixture(scope="module")
def classes():
    """Run BatchNorm1d(16), ReLU, Linear(16, 5), ReLU, in evaluation on 8 samples."""
    model = nn.Sequential(nn.BatchNorm1d(16), nn.ReLU(), nn.Linear(16, 5), nn.ReLU()).eval()
    return Report.measure(lambda: model(torch.randn(8, 16)), model=model)


def test_a_forward_pass_to_the_integer(classes):
    cost = classes.counted.step.cost
    assert (classes.parameters, classes.counted.step.macs) == (117, 640)
    assert cost.contractions + cost.pointwise == 1704
    assert cost.fused == 40  # the additions of the bias, which were left out


def test_its_summands(classes):
    (model,) = classes.counted.step.children
    assert [child.cost for child in model.children] == [Cost(0, 256), Cost(0, 128), Cost(1280, 0, 40), Cost(0, 40)]


def test_its_text(classes):
    text = str(classes)
    assert "Contractions and pointwise operators: 1,704 FLOPs; with what is fused 1,744." in text
    assert "117, all trainable" in text


def test_in_training_batch_norm_takes_more():
    model = nn.BatchNorm1d(16)
    report = Report.measure(lambda: model(torch.randn(8, 16)), model=model)
    assert report.counted.step.costs["forward"].pointwise == 5 * 8 * 16


def test_a_small_regression():
    """5-64-64-64-1 with SiLU and AdamW at batch 256."""
    widths = (5, 64, 64, 64, 1)
    layers = [nn.Linear(*pair) for pair in pairwise(widths)]
    model = nn.Sequential(*(part for layer in layers for part in (layer, nn.SiLU())))[:-1]
    optimizer = torch.optim.AdamW(model.parameters())
    report = Report.measure(trained(model, optimizer, mse_loss, torch.randn(256, 5), torch.randn(256, 1)), model=model)
    assert (report.parameters, report.total, report.flops_per_sample) == (8_769, 13_008_896, 50_816)
    assert (report.memory.parameters, report.memory.optimizer) == (35_076, 70_184)
    # the data; before and after each SiLU; prediction and target
    assert report.memory.activations == 4 * 256 * (5 + 3 * (64 + 64) + 2)
