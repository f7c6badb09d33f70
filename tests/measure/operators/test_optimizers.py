"""Test that an update takes the same FLOPs, fused, over lists or in loops."""

import pytest
import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW

UPDATES = [
    (SGD, {}),
    (SGD, {"weight_decay": 0.1, "maximize": True}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "dampening": 0.1}),
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (Adam, {}),
    (Adam, {"amsgrad": True}),
    (Adam, {"weight_decay": 0.1, "maximize": True}),
    (AdamW, {}),
    (AdamW, {"maximize": True}),
    (AdamW, {"weight_decay": 0, "amsgrad": True}),
    (Adagrad, {}),
    (Adagrad, {"maximize": True}),
    (Adagrad, {"weight_decay": 0.1}),
]


@pytest.fixture
def step_flops(count):
    """Count the pointwise FLOPs of an optimizer's step after some earlier ones."""

    def flops(kind, earlier=0, **settings):
        layer = nn.Linear(7, 3)
        for parameter in layer.parameters():
            parameter.grad = torch.ones_like(parameter)
        optimizer = kind(layer.parameters(), lr=0.1, **settings)
        for _ in range(earlier):
            optimizer.step()
        return count(optimizer.step).pointwise["optimizer"]

    return flops


def test_plain_descent_takes_two_flops_for_each_parameter(step_flops):
    assert step_flops(SGD) == 2 * (7 * 3 + 3)


@pytest.mark.parametrize("earlier", [0, 1], ids=["first", "second"])
@pytest.mark.parametrize(("kind", "settings"), UPDATES, ids=str)
def test_every_way_to_run_an_update_counts_the_same(step_flops, kind, settings, earlier):
    ways = {"fused": True}, {"foreach": True}, {"foreach": False}
    one_by_one, *others = (step_flops(kind, earlier, **settings, **way) for way in reversed(ways))
    assert others == [one_by_one] * 2 and one_by_one > 0
