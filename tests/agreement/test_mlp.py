"""Test random perceptrons: predicted == counted == profiled == torch's own counter."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import evaluate, matmul, training_step


@dataclass(frozen=True)
class Network:
    """Holds widths, the batch's axes, and which layers have a bias or are frozen."""

    widths: tuple[int, ...]
    batch: tuple[int, ...]
    biases: tuple[bool, ...]
    frozen: tuple[bool, ...]
    data_needs: bool

    @property
    def sizes(self):
        letters = [f"B{i}" for i in range(len(self.batch))] + [f"D{i}" for i in range(len(self.widths))]
        return dict(zip(letters, self.batch + self.widths, strict=True))

    @property
    def step(self):
        """Predict the step: one product a layer."""
        batch = [f"B{i}" for i in range(len(self.batch))]

        def h(number):
            return f"h{number}[{','.join([*batch, f'D{number}'])}]"

        layers = [matmul(f"{h(i)} @ w{i}[D{i},D{i + 1}] -> {h(i + 1)}") for i in range(len(self.biases))]
        frozen = [f"w{i}" for i, is_frozen in enumerate(self.frozen) if is_frozen]
        return training_step(*layers, data=() if self.data_needs else "h0", frozen=frozen)

    def build(self, device):
        """Build the step to measure, which knows nothing of the prediction but the sizes."""
        layers = []
        for (D, K), bias, is_frozen in zip(pairwise(self.widths), self.biases, self.frozen, strict=True):
            layers += [nn.Linear(D, K, bias, device=device).requires_grad_(not is_frozen), nn.SiLU()]
        model = nn.Sequential(*layers)
        x = torch.ones(*self.batch, self.widths[0], device=device, requires_grad=self.data_needs)

        def run():
            loss = model(x).square().mean()
            if loss.requires_grad:
                loss.backward()

        return run


@st.composite
def networks(draw):
    depth = draw(st.integers(1, 4))
    size = st.integers(1, 17)
    return Network(
        widths=tuple(draw(size) for _ in range(depth + 1)),
        batch=tuple(draw(st.lists(st.integers(1, 5), max_size=3))),
        biases=tuple(draw(st.booleans()) for _ in range(depth)),
        frozen=tuple(draw(st.booleans()) for _ in range(depth)),
        data_needs=draw(st.booleans()),
    )


ORDINARY = Network((5, 64, 64, 64, 1), (256,), (True,) * 4, (False,) * 4, data_needs=False)
FROZEN = Network((2, 3), (), (False,), (True,), data_needs=False)


def count(network, device):
    with FlopCount() as counted:
        network.build(device)()
    return counted


@given(network=networks())
@example(network=ORDINARY)
@example(network=FROZEN)
def test_predicted_and_counted_agree(device, network):
    table = compare(network.step, count(network, device), sizes=network.sizes)
    assert table.agrees, table


@given(network=networks(), number=st.integers(0, 20))
@example(network=ORDINARY, number=0)
def test_a_step_with_a_product_forgotten_disagrees(device, without, network, number):
    assert not compare(without(network.step, number), count(network, device), sizes=network.sizes).agrees


@given(network=networks())
@example(network=ORDINARY)
def test_torchs_own_counter_agrees(device, network):
    with FlopCounterMode(display=False) as theirs:
        network.build(device)()
    assert theirs.get_total_flops() == evaluate(network.step.flops, network.sizes)


@pytest.mark.parametrize("data_needs", [False, True])
@pytest.mark.parametrize("first_frozen", [False, True])
@pytest.mark.parametrize(
    ("widths", "batch"), [((1, 1), (1,)), ((2, 3, 5), (7,)), ((13, 1, 11, 1), (3, 2)), ((31, 37, 41), (1,))], ids=str
)
def test_the_profiler_agrees(device, widths, batch, first_frozen, data_needs):
    depth = len(widths) - 1
    network = Network(widths, batch, (True,) * depth, (first_frozen,) + (False,) * (depth - 1), data_needs)
    counted, profiled = count(network, device), profile_flops(network.build(device))
    assert compare(network.step, counted, profiled, sizes=network.sizes).agrees


def test_the_published_step():
    """6,628,048,896 FLOPs: 2,284,322,816 in 4 calls of addmm, 4,343,726,080 in 7 of mm."""
    network = Network((429, 1024, 1024, 1024, 1880), (256,), (True,) * 4, (False,) * 4, data_needs=False)
    counted = count(network, "meta")
    assert counted.by_operator == {"aten::mm": (4_343_726_080, 7), "aten::addmm": (2_284_322_816, 4)}
    assert compare(network.step, counted, sizes=network.sizes).agrees
