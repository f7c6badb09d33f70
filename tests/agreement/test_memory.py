"""Test the memory of random perceptrons: predicted == weighed, in every kind."""

from itertools import pairwise

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn
from torch.utils.checkpoint import checkpoint

from flopbook.measure.memory import weigh
from flopbook.predict import evaluate, matmul, training_step
from flopbook.predict.memory import Formats, Part, activation_memory, training_memory

KINDS = ("parameters", "gradients", "optimizer", "activations")
OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, momentum=0.9),
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}
KEEPS_ITS_INPUT = {nn.SiLU: True, nn.ReLU: False, nn.Tanh: False}
BYTES = {torch.float32: 4, torch.bfloat16: 2, torch.float64: 8}


def predict(widths, batch, activation, optimizer, dtype):
    letters = [f"D{i}" for i in range(len(widths))]
    layers = [matmul(f"h{i}[B,{D}] @ w{i}[{D},{K}] -> h{i + 1}[B,{K}]") for i, (D, K) in enumerate(pairwise(letters))]
    memory = training_memory(
        training_step(*layers, data="h0"),
        biases=[f"b{K}[{K}]" for K in letters[1:]],
        also_kept=[f"y[B,{letters[-1]}]", f"target[B,{letters[-1]}]"]
        + [f"z{K}[B,{K}]" for K in letters[1:-1] if KEEPS_ITS_INPUT[activation]],
        optimizer=optimizer,
        formats=Formats(*4 * [BYTES[dtype]]),
    )
    return {
        kind: evaluate(getattr(memory, kind), {"B": batch, **dict(zip(letters, widths, strict=True))}) for kind in KINDS
    }


def measure(widths, batch, activation, optimizer, dtype):
    layers = [layer for D, K in pairwise(widths) for layer in (nn.Linear(D, K), activation())][:-1]
    model = nn.Sequential(*layers).to(dtype)
    x, target = torch.randn(batch, widths[0], dtype=dtype), torch.randn(batch, widths[-1], dtype=dtype)
    updates = OPTIMIZERS[optimizer](model.parameters())

    def step():
        nn.functional.mse_loss(model(x), target).backward()
        updates.step()

    memory = weigh(step, model, [updates])
    return {kind: getattr(memory, kind) for kind in KINDS}


CASES = {
    "widths": st.lists(st.integers(1, 17), min_size=2, max_size=5),
    "batch": st.integers(1, 9),
    "activation": st.sampled_from(list(KEEPS_ITS_INPUT)),
    "optimizer": st.sampled_from(list(OPTIMIZERS)),
    "dtype": st.sampled_from(list(BYTES)),
}
PUBLISHED = {"widths": [5, 64, 64, 64, 1], "batch": 256, "optimizer": "AdamW", "dtype": torch.float32}


@given(**CASES)
@example(activation=nn.SiLU, **PUBLISHED)
def test_predicted_and_weighed_agree(**case):
    assert predict(**case) == measure(**case)


@pytest.mark.parametrize(("activation", "bytes_"), [(nn.SiLU, 400_384), (nn.ReLU, 203_776), (nn.Tanh, 203_776)])
def test_the_published_network(activation, bytes_):
    held = {"parameters": 35_076, "gradients": 35_076, "optimizer": 70_184, "activations": bytes_}
    assert predict(activation=activation, **PUBLISHED) == measure(activation=activation, **PUBLISHED) == held


@pytest.mark.parametrize("forgotten", ["batch", "optimizer", "activation", "dtype"])
def test_a_prediction_for_something_else_disagrees(forgotten):
    case = {"activation": nn.SiLU, **PUBLISHED}
    other = {"batch": 255, "optimizer": "SGD", "activation": nn.ReLU, "dtype": torch.bfloat16}[forgotten]
    assert predict(**case | {forgotten: other}) != measure(**case)


class Checkpointed(nn.Module):
    """Runs a layer, then blocks that a checkpoint runs again."""

    def __init__(self, D, H, F, blocks, reentrant):
        super().__init__()
        self.first, self.reentrant = nn.Linear(D, H), reentrant
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(H, F), nn.GELU(), nn.Linear(F, H)) for _ in range(blocks))

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=self.reentrant)
        return x


@pytest.mark.parametrize("reentrant", [False, True])
@pytest.mark.parametrize("sizes", [{"B": 3, "D": 5, "H": 7, "F": 11}, {"B": 4, "D": 9, "H": 8, "F": 1}])
@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_checkpoints_keep_their_inputs_and_one_block_at_a_time(blocks, sizes, reentrant):
    B, D, H, F = sizes.values()
    model, x = Checkpointed(D, H, F, blocks, reentrant), torch.randn(B, D)
    measured = weigh(lambda: model(x).square().sum().backward(), model, [])
    parts = [Part(f"h{n}[B,H]", again=f"f{n}[B,F] g{n}[B,F]") for n in range(blocks)]
    predicted = activation_memory(Part("x[B,D]"), *parts, Part("y[B,H]"))
    assert [evaluate(bytes_, sizes) for bytes_ in predicted] == [measured.after_forward, measured.activations]
    without = activation_memory(*(Part(f"{kept} {again}") for kept, again in (Part("x[B,D]"), *parts, Part("y[B,H]"))))
    assert evaluate(without.activations, sizes) > measured.after_forward
