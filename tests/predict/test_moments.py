"""Test the bytes that a step holds at each moment."""

import pytest

from flopbook.predict import evaluate, matmul, training_step
from flopbook.predict.memory import Part, activation_memory, kept, training_memory
from flopbook.predict.moments import moments
from flopbook.predict.pointwise import elements

LAYERS = [
    matmul("x[B,D] @ w1[D,H1] -> h1[B,H1]"),
    matmul("h1[B,H1] @ w2[H1,H2] -> h2[B,H2]"),
    matmul("h2[B,H2] @ w3[H2,K] -> y[B,K]"),
]
STEP = training_step(*LAYERS, data="x")
SIZES = dict(B=11, D=2, H1=5, H2=3, K=4)


def held(phase, kind, **setting):
    return [moment.held[kind] for moment in moments(STEP, SIZES, **setting) if moment.phase == phase]


@pytest.mark.parametrize("function", ["ReLU", "tanh"])
def test_the_forward_pass_ends_with_what_products_and_loss_keep(function):
    by_loss = 2 * SIZES["B"] * SIZES["K"]
    assert held("forward", "activations", function=function)[-1] == 4 * (
        evaluate(elements(*kept(STEP)), SIZES) + by_loss
    )


def test_silu_keeps_its_input_besides():
    more = held("forward", "activations")[-1] - held("forward", "activations", function="ReLU")[-1]
    assert more == 4 * SIZES["B"] * (SIZES["H1"] + SIZES["H2"])


def test_with_checkpoints_the_forward_pass_ends_with_the_inputs_of_the_layers():
    parts = [Part("x[B,D]"), Part("h1[B,H1]"), Part("h2[B,H2] y[B,K] target[B,K]")]
    predicted = evaluate(activation_memory(*parts).after_forward, SIZES)
    for function in ("SiLU", "ReLU"):
        assert held("forward", "activations", function=function, checkpoints=True)[-1] == predicted


@pytest.mark.parametrize("optimizer", ["SGD", "SGD with momentum", "AdamW"])
def test_in_the_end_parameters_gradients_and_state_are_left_and_the_data(optimizer):
    last = moments(STEP, SIZES, optimizer=optimizer)[-1].held
    memory = training_memory(STEP, biases=["b1[H1]", "b2[H2]", "b3[K]"], optimizer=optimizer)
    for kind in ("parameters", "gradients", "optimizer"):
        assert last[kind] == evaluate(getattr(memory, kind), SIZES)
    assert last["activations"] == 4 * SIZES["B"] * (SIZES["D"] + SIZES["K"])
    assert last["for a moment"] == last["recomputed"] == 0


def test_each_moment_has_all_kinds_in_order():
    kinds = ["parameters", "optimizer", "gradients", "activations", "recomputed", "for a moment"]
    assert all(list(moment.held) == kinds for moment in moments(STEP, SIZES))


def test_only_checkpoints_make_anything_again():
    assert not any(moment.held["recomputed"] for moment in moments(STEP, SIZES))
    assert [moment.name for moment in moments(STEP, SIZES, checkpoints=True) if moment.phase == "recomputed"] == [
        "w2",
        "w1",
    ]


def test_what_is_not_a_chain_of_trained_layers_is_refused():
    with pytest.raises(ValueError, match=r"does not take h1\[B,H1\]: give a chain of layers"):
        moments(training_step(LAYERS[0], LAYERS[2], data="x"), SIZES)
    with pytest.raises(ValueError, match="w1 is frozen"):
        moments(training_step(*LAYERS, data="x", frozen="w1"), SIZES)
    with pytest.raises(ValueError, match="function='GELU' is not known"):
        moments(STEP, SIZES, function="GELU")
