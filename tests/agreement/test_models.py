"""Test whole models drawn at random: parameters, FLOPs and activations."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopbook.measure import FlopCount
from flopbook.measure.memory import weigh
from flopbook.predict import evaluate, flops
from flopbook.predict.models import Model, bottleneck_network, decoder, decoder_block, linear_stack, mlp, places
from flopbook.predict.optimizers import update_flops
from flopbook.specimens.in_torch.convolutions import bottleneck_network as residual_network
from tests.support.decoder import Decoder

INDEX_BYTES = 8  # tokens and targets are whole numbers, and none of the model's

#: What is measured here; what products give is worked out by hand in tests/published/test_plan.py.
MEASURED = tuple(name for name in Model.__dataclass_fields__ if name != "results")


def perceptron(widths):
    layers = [nn.Linear(D, K) for D, K in pairwise(widths)]
    return nn.Sequential(*(module for layer in layers for module in (layer, nn.ReLU())))[:-1]


def measure(model: nn.Module, x: torch.Tensor, loss) -> dict[str, int]:
    parameters = list(model.parameters())
    numbers = sum(parameter.numel() for parameter in parameters)

    def step():
        loss(model(x)).backward()

    with FlopCount() as count:
        activations = weigh(step, model, []).activations
    return {
        "parameters": numbers,
        "active": numbers,
        "tensors": len(parameters),
        "forward": count.forward,
        "backward": count.backward,
        "activations": activations,
    }


def predict(model: Model, sizes: dict[str, int]) -> dict[str, int]:
    return {name: evaluate(getattr(model, name), sizes) for name in MEASURED}


small = st.integers(1, 7)


@st.composite
def decoders(draw):
    sizes = {letter: draw(small) for letter in "BTDEFGVL"}
    shared, choices = (
        draw(st.integers(1, 3)),
        {"matrices": draw(st.sampled_from([2, 3])), "tables": draw(st.sampled_from([1, 2]))},
    )
    return sizes | {"H": shared * sizes["G"]} | choices


def measured_decoder(sizes):
    B, T, V = sizes["B"], sizes["T"], sizes["V"]
    model = Decoder(**{name: size for name, size in sizes.items() if name not in "BT"})
    tokens, targets = torch.randint(V, (B, T)), torch.randint(V, (B * T,))
    measured = measure(model, tokens, lambda y: nn.functional.cross_entropy(y.flatten(0, 1), targets))
    # fused attention keeps no scores, so it makes them again
    measured["backward"] -= sizes["L"] * evaluate(flops([decoder_block().forward[3]]), sizes | {"S": T})
    measured["activations"] = (measured["activations"] - 2 * INDEX_BYTES * B * T) // 4
    return measured


@given(decoders())
def test_a_decoder(sizes):
    assert predict(decoder(), sizes) == measured_decoder(sizes)


@given(st.lists(small, min_size=2, max_size=5), small)
def test_a_stack_of_linear_layers(widths, batch):
    letters = [f"D{number}" for number in range(len(widths))]
    y = torch.randn(batch, widths[-1])
    measured = measure(perceptron(widths), torch.randn(batch, widths[0]), lambda x: nn.functional.mse_loss(x, y))
    predicted = predict(linear_stack(*letters), {"B": batch, **dict(zip(letters, widths, strict=True))})
    assert predicted | {"activations": 4 * predicted["activations"]} == measured


def test_a_stack_of_no_layers():
    with pytest.raises(ValueError) as error:
        linear_stack("D")
    assert str(error.value) == "linear_stack('D') has no layer: write linear_stack('D', 'K')"


@given(**{letter: small for letter in "BDHKL"})
def test_a_multilayer_perceptron(B, D, H, K, L):
    y = torch.randn(B, K)
    model = perceptron([D, *L * [H], K])
    measured = measure(model, torch.randn(B, D), lambda x: nn.functional.mse_loss(x, y))
    predicted = predict(mlp(), {"B": B, "D": D, "H": H, "K": K, "L": L})
    assert predicted | {"activations": 4 * predicted["activations"]} == measured


IMAGES = {"B": st.integers(2, 3), "C": small, "D": st.integers(1, 2), "K": small, "X": st.integers(1, 40)}


def measured_residual(blocks, strided, B, C, D, K, X, Y):  # noqa: PLR0913, PLR0917  (sizes)
    model = residual_network(C, D, K, blocks, strided)
    targets = torch.randint(K, (B,))
    measured = measure(model, torch.randn(B, C, X, Y), lambda y: nn.functional.cross_entropy(y, targets))
    maxima = B * D * places(places(X, 7, 2, 3), 3, 2, 1) * places(places(Y, 7, 2, 3), 3, 2, 1)
    return measured | {"activations": (measured["activations"] - INDEX_BYTES * (B + maxima)) // 4}


@settings(max_examples=12)
@given(blocks=st.lists(st.integers(1, 3), min_size=1, max_size=4), strided=st.sampled_from([1, 3]), Y=small, **IMAGES)
def test_a_residual_network(blocks, strided, **sizes):
    assert predict(bottleneck_network(blocks, strided), sizes) == measured_residual(blocks, strided, **sizes)


@pytest.mark.parametrize("forgotten", MEASURED)
def test_a_residual_network_with_a_block_forgotten_disagrees(forgotten):
    sizes = {"B": 2, "C": 3, "D": 2, "K": 5, "X": 17, "Y": 38}
    measured = measured_residual([2, 3], 3, **sizes)
    assert predict(bottleneck_network([2, 3]), sizes) == measured
    assert predict(bottleneck_network([2, 2]), sizes)[forgotten] != measured[forgotten]


def test_what_is_not_a_residual_network():
    for blocks, strided, says in [
        ([], 3, r"blocks=\[\] has no stage"),
        ([3, 0], 3, r"blocks\[1\]=0"),
        ([3], 2, "strided=2 is not a kernel"),
    ]:
        with pytest.raises(ValueError, match=says):
            bottleneck_network(blocks, strided)


OPTIMIZERS = {
    "SGD": torch.optim.SGD,
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, momentum=0.9),
    "Adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("widths", [[3, 5, 2], [1, 1], [7, 4, 4, 6]])
def test_an_update(name, widths):
    model = perceptron(widths)
    optimizer = OPTIMIZERS[name](model.parameters())
    for _ in range(2):
        with FlopCount() as count:
            model(torch.randn(5, widths[0])).sum().backward()
            optimizer.step()
    parameters = list(model.parameters())
    predicted = update_flops(name, sum(parameter.numel() for parameter in parameters), len(parameters))
    assert predicted == count.pointwise["optimizer"]


@pytest.mark.parametrize("forgotten", MEASURED)
def test_a_decoder_with_a_part_forgotten_disagrees(forgotten):
    sizes = {"B": 2, "T": 3, "D": 5, "H": 4, "G": 2, "E": 7, "F": 6, "V": 11, "L": 2, "matrices": 3, "tables": 2}
    smaller = predict(decoder(), sizes | {"L": 1})
    assert smaller[forgotten] != measured_decoder(sizes)[forgotten]
    assert predict(decoder(), sizes | {"matrices": 2})[forgotten] != measured_decoder(sizes)[forgotten]
