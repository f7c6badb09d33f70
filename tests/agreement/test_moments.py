"""Hold the predicted bytes of each moment to those that PyTorch holds."""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from flopbook.measure.memory import held_bytes, watch_memory
from flopbook.predict import matmul, training_step
from flopbook.predict.moments import moments

LETTERS = "DEFGHK"
FUNCTIONS = {"SiLU": nn.SiLU, "ReLU": nn.ReLU, "tanh": nn.Tanh}
OPTIMIZERS = {"SGD": torch.optim.SGD, "AdamW": torch.optim.AdamW}
RUNS = {
    f"aten::{name}"
    for name in (
        "addmm", "silu", "relu", "tanh", "mse_loss", "mse_loss_backward", "silu_backward", "threshold_backward",
        "tanh_backward", "sum",
    )
}  # fmt: skip


def predicted(batch, widths, **setting):
    names = ["x", *(f"h{n}" for n in range(1, len(widths) - 1)), "y"]
    layers = [
        matmul(
            f"{names[n]}[B,{LETTERS[n]}] @ w{n}[{LETTERS[n]},{LETTERS[n + 1]}] -> {names[n + 1]}[B,{LETTERS[n + 1]}]"
        )
        for n in range(len(widths) - 1)
    ]
    found = moments(
        training_step(*layers, data="x"), dict(zip(LETTERS, widths, strict=False)) | dict(B=batch), **setting
    )
    return [sum(moment.held.values()) for moment in found]


def measured(batch, widths, function, optimizer, checkpoints):
    layers = [nn.Linear(one, other) for one, other in pairwise(widths)]
    hidden = [nn.Sequential(layer, FUNCTIONS[function]()) for layer in layers[:-1]]
    model = nn.Sequential(*hidden, layers[-1])
    x, target = torch.randn(batch, widths[0]), torch.randn(batch, widths[-1])
    steps = OPTIMIZERS[optimizer](model.parameters(), lr=0.1)

    def forward(h):
        for layer in hidden:
            h = checkpoint(layer, h, use_reentrant=False) if checkpoints else layer(h)
        return layers[-1](h)

    def train():
        steps.zero_grad()
        nn.functional.mse_loss(forward(x), target).backward()
        steps.step()

    watched = watch_memory(train)
    before = held_bytes(model, steps, x, target)
    marks = [held for held, name in zip(watched.bytes, watched.operators, strict=False) if name in RUNS]
    return [before + held for held in (*marks, watched.bytes[-1])]


@pytest.mark.parametrize("widths", [(5, 64, 64, 64, 1), (3, 7, 11), (2, 13, 17, 5), (1, 1, 1)])
@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("checkpoints", [False, True])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_each_moment_holds_the_predicted_bytes(widths, function, checkpoints, optimizer):
    setting = dict(function=function, optimizer=optimizer, checkpoints=checkpoints)
    for batch in (1, 31):
        assert predicted(batch, widths, **setting) == measured(batch, widths, **setting)


def test_the_bytes_of_another_function_disagree():
    setting = dict(optimizer="SGD", checkpoints=False)
    assert predicted(8, (3, 7, 2), function="ReLU", **setting) != measured(8, (3, 7, 2), function="SiLU", **setting)
