"""Test a count as plain data: what belongs to which module, phase and operator."""

import pytest
import torch
from torch import nn

from flopbook.counts.breakdown import Cost, OperatorCost, break_down, upwards
from flopbook.counts.tally import Call, Tally
from flopbook.measure import FlopCount

KINDS = {"Net": "Net", "Net.body": "Sequential", "Net.body.0": "Linear", "Loss": "MSELoss"}
PARAMETERS = {"": 85, "Net": 85, "Net.body": 85, "Net.body.0": 85, "Loss": 0}


@pytest.fixture
def counted():
    tally = Tally()
    tally.witness = "counted"
    for note in (
        ("forward", "Net.body.0", "aten::addmm", 1280, 40),
        ("forward", "Net.body", "aten::relu", 0, 40),
        ("forward", "Loss", "aten::mse_loss", 0, 120),
        ("backward", "Net.body.0", "aten::mm", 1280, 0),
        ("backward", "Net.body.0", "aten::mm", 1280, 0),
        ("optimizer", "", "aten::add_", 0, 170),
    ):
        tally.note(*note)
    return break_down(tally, KINDS, PARAMETERS)


def test_every_module_has_the_cost_of_all_that_it_holds(counted):
    costs = {node.path: node.cost for _, node in counted.step.walk()}
    assert costs == {
        "": Cost(3840, 330, 40),
        "Net": Cost(3840, 40, 40),
        "Net.body": Cost(3840, 40, 40),
        "Net.body.0": Cost(3840, 0, 40),
        "Loss": Cost(0, 120, 0),
    }


def test_phases_add_up_to_all(counted):
    for _, node in counted.step.walk():
        assert Cost.sum(node.costs.values()) == node.cost


def test_what_runs_outside_of_all_modules_is_the_steps(counted):
    assert counted.step.costs["optimizer"] == Cost(0, 170, 0)
    assert not any(any(child.costs["optimizer"]) for child in counted.step.children)


def test_the_tree_has_the_shape_of_the_paths(counted):
    assert [(level, node.title) for level, node in counted.step.walk()] == [
        (0, "step"), (1, "Net"), (2, "body Sequential"), (3, "0 Linear"), (1, "Loss MSELoss"),
    ]  # fmt: skip


@pytest.mark.parametrize(("depth", "nodes"), [(0, 1), (1, 3), (2, 4), (None, 5)])
def test_a_walk_stops_at_its_depth(counted, depth, nodes):
    assert len(list(counted.step.walk(depth))) == nodes


def test_operators_of_each_phase_most_flops_first(counted):
    assert counted.operators[:2] == (
        OperatorCost("backward", "aten::mm", 2, Cost(2560)),
        OperatorCost("forward", "aten::addmm", 1, Cost(1280, 0, 40)),
    )


def test_phases_in_which_something_ran(counted):
    assert counted.phases == ("forward", "backward", "optimizer")


@pytest.mark.parametrize(("call", "cost"), [((1280, 40), Cost(1280, 0, 40)), ((0, 40), Cost(0, 40, 0))])
def test_pointwise_arithmetic_of_a_contraction_is_fused(call, cost):
    assert Cost.of(Call("forward", "", "aten::x", *call), 1) == cost
    assert Cost.of(Call("forward", "", "aten::x", *call), 3) == Cost.sum([cost] * 3)


def test_a_bias_beside_integer_operations_is_fused():
    assert Cost.of(Call("forward", "", "aten::x", 0, 40, 8, 1280), 2) == Cost(0, 0, 80, 16, 2560)


def test_flops_of_a_cost_leave_out_integers_and_what_is_a_part_of_others():
    assert Cost(1280, 30, 40, 8, 99).flops == 1280 + 30 + 40


def test_a_path_upwards_ends_at_the_step():
    assert list(upwards("Net.body.0")) == ["Net.body.0", "Net.body", "Net", ""]


def test_a_count_breaks_down_to_its_own_totals():
    model = nn.Sequential(nn.Linear(5, 7), nn.Tanh(), nn.Linear(7, 3))
    with FlopCount() as count:
        model(torch.ones(4, 5)).sum().backward()
    step = count.breakdown.step
    assert step.cost.contractions == count.total
    assert {phase: cost.contractions for phase, cost in step.costs.items()} == {
        "forward": count.forward, "backward": count.backward, "recomputed": 0, "optimizer": 0,
    }  # fmt: skip
    assert {phase: cost.pointwise + cost.fused for phase, cost in step.costs.items()} == count.pointwise
    for _, node in step.walk():
        assert (node.parameters, node.cost.contractions) == (
            count.by_module[node.path].parameters, count.by_module[node.path].flops,
        )  # fmt: skip


def test_a_breakdown_holds_no_module():
    with FlopCount() as count:
        nn.Linear(5, 7)(torch.ones(4, 5))
    kinds = {type(value) for _, node in count.breakdown.step.walk() for value in vars(node).values()}
    assert kinds == {str, int, dict, tuple}
