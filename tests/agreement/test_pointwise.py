"""Test pointwise FLOPs: predicted from update rules and shapes == counted, by phase."""

from itertools import pairwise

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from sympy import IndexedBase, Max, sqrt, symbols
from torch import nn

from flopbook.measure import FlopCount
from flopbook.predict import B, evaluate, flops, matmul, training_step
from flopbook.predict.pointwise import elements, operations

i, rate, decay, momentum, damping, beta1, beta2, eps, t = symbols(
    "i eta lambda mu tau beta1 beta2 epsilon t", positive=True
)
p, g, b, m, v, largest = (IndexedBase(name)[i] for name in ("p", "g", "b", "m", "v", "largest"))

ADAM_MOMENTS = (beta1 * m + (1 - beta1) * g, beta2 * v + (1 - beta2) * g**2)
ADAM_STEP = rate * m / (1 - beta1**t) / (sqrt(v / (1 - beta2**t)) + eps)

#: Optimizer, its settings, its update rules, and whether it counts its steps in a tensor for each parameter tensor.
UPDATES = {
    "SGD": (torch.optim.SGD, {}, [p - rate * g], False),
    "SGD, decay": (torch.optim.SGD, {"weight_decay": 0.1}, [g + decay * p, p - rate * g], False),
    "momentum": (torch.optim.SGD, {"momentum": 0.9}, [momentum * b + g, p - rate * b], False),
    "momentum, dampened": (
        torch.optim.SGD,
        {"momentum": 0.9, "dampening": 0.1},
        [momentum * b + (1 - damping) * g, p - rate * b],
        False,
    ),
    "Nesterov": (
        torch.optim.SGD,
        {"momentum": 0.9, "nesterov": True},
        [momentum * b + g, p - rate * (g + momentum * b)],
        False,
    ),
    "Adagrad": (torch.optim.Adagrad, {}, [b + g**2, p - rate * g / (sqrt(b) + eps)], True),
    "Adam": (torch.optim.Adam, {}, [*ADAM_MOMENTS, p - ADAM_STEP], True),
    "Adam, decay": (torch.optim.Adam, {"weight_decay": 0.1}, [g + decay * p, *ADAM_MOMENTS, p - ADAM_STEP], True),
    "Adam, AMSGrad": (torch.optim.Adam, {"amsgrad": True}, [*ADAM_MOMENTS, Max(largest, v), p - ADAM_STEP], True),
    "AdamW": (torch.optim.AdamW, {}, [*ADAM_MOMENTS, (1 - rate * decay) * p - ADAM_STEP], True),
}


def counted_update(kind, settings, shapes, device):
    """Count pointwise FLOPs of a second update, since the first may have no momentum."""
    parameters = [nn.Parameter(torch.ones(shape, device=device)) for shape in shapes]
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    optimizer = kind(parameters, lr=0.1, **settings)
    optimizer.step()
    with FlopCount() as counted:
        optimizer.step()
    return counted.pointwise["optimizer"]


@pytest.mark.parametrize("update", UPDATES.values(), ids=list(UPDATES))
@pytest.mark.parametrize("shapes", [[(1,)], [(7, 3), (3,)], [(2, 5), (5,), (5, 11)]], ids=str)
def test_update_rules_agree_with_what_runs(device, update, shapes):
    kind, settings, rules, counts_steps = update
    parameters = sum(torch.Size(shape).numel() for shape in shapes)
    counters = len(shapes) if counts_steps else 0
    assert counted_update(kind, settings, shapes, device) == operations(*rules) * parameters + counters


def test_a_rule_with_a_term_forgotten_disagrees(device):
    assert counted_update(torch.optim.SGD, {}, [(7, 3)], device) != operations(p - g) * 21


ACTIVATIONS = {"ReLU": nn.ReLU, "SiLU": nn.SiLU, "Tanh": nn.Tanh}

#: FLOPs of a loss, forward and backward, from the results and the samples.
LOSSES = {
    "mean of squares": (lambda results: 3 * results, lambda results: 2 * results),
    "cross-entropy": (lambda results: 5 * results + B, lambda results: 4 * results + B),
}


def network(widths):
    letters = [f"D{number}" for number in range(len(widths))]
    layers = [
        matmul(f"h{number}[B,{one}] @ w{number}[{one},{other}] -> h{number + 1}[B,{other}]")
        for number, (one, other) in enumerate(pairwise(letters))
    ]
    return training_step(*layers, data="h0"), dict(zip(letters, widths, strict=True))


def predicted_pointwise(step, loss):
    """Predict one operation for each element of biases and activations, in both directions."""
    outputs = [elements(layer.output) for layer in step.forward]
    layers = sum(outputs) + sum(outputs[:-1])
    return [layers + of_results(outputs[-1]) for of_results in LOSSES[loss]]


def counted_step(widths, batch, activation, loss, device):
    layers = []
    for one, other in pairwise(widths):
        layers += [nn.Linear(one, other, device=device), ACTIVATIONS[activation]()]
    model = nn.Sequential(*layers[:-1])
    data = torch.ones(batch, widths[0], device=device)
    with FlopCount() as counted:
        if loss == "cross-entropy":
            targets = torch.zeros(batch, dtype=torch.long, device=device)
            nn.functional.cross_entropy(model(data), targets).backward()
        else:
            nn.functional.mse_loss(model(data), torch.ones(batch, widths[-1], device=device)).backward()
    return counted


@given(
    widths=st.lists(st.integers(1, 17), min_size=2, max_size=5),
    batch=st.integers(1, 9),
    activation=st.sampled_from(sorted(ACTIVATIONS)),
    loss=st.sampled_from(sorted(LOSSES)),
)
@example(widths=[5, 64, 64, 64, 1], batch=256, activation="SiLU", loss="mean of squares")
@example(widths=[1, 1], batch=1, activation="ReLU", loss="cross-entropy")
def test_a_whole_step_agrees(device, widths, batch, activation, loss):
    step, sizes = network(widths)
    sizes["B"] = batch
    counted = counted_step(widths, batch, activation, loss, device)
    assert [counted.pointwise["forward"], counted.pointwise["backward"]] == [
        evaluate(phase, sizes) for phase in predicted_pointwise(step, loss)
    ]
    assert counted.total == evaluate(flops(step), sizes)


def test_a_step_without_its_last_bias_disagrees(device):
    step, sizes = network([3, 5, 7])
    counted = counted_step([3, 5, 7], 2, "ReLU", "mean of squares", device)
    forward, _ = predicted_pointwise(step, "mean of squares")
    assert counted.pointwise["forward"] != evaluate(forward - elements(step.forward[-1].output), {**sizes, "B": 2})


@given(widths=st.lists(st.integers(1, 40), min_size=2, max_size=5), batch=st.integers(1, 9))
@example(widths=[429, 1024, 1024, 1024, 1880], batch=256)
def test_six_for_each_parameter_and_sample_is_too_many_by_known_terms(widths, batch):
    """The rule of thumb takes the data's gradient and the biases for products."""
    counted = counted_step(widths, batch, "ReLU", "mean of squares", "meta")
    parameters = sum(one * other + other for one, other in pairwise(widths))
    missing = 2 * batch * widths[0] * widths[1] + 6 * batch * sum(widths[1:])
    assert 6 * batch * parameters - counted.total == missing
