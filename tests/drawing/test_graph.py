"""Test the pictures of a training step's graph: frozen layers, and other ways to send an error back."""

import re
from fractions import Fraction

import pytest

from flopbook.drawing import error_paths, training_graph
from flopbook.predict import TrainingStep, evaluate, flops, matmul, training_step

LAYERS = [
    matmul("x[B,D] @ w1[D,F] -> f[B,F]"),
    matmul("f[B,F] @ w2[F,G] -> g[B,G]"),
    matmul("g[B,G] @ w3[G,H] -> h[B,H]"),
    matmul("h[B,H] @ w4[H,K] -> y[B,K]"),
]
SIZES = dict(B=2, D=3, F=5, G=7, H=11, K=13)
BACKPROP = training_step(*LAYERS, data="x")
OF_WEIGHTS = tuple(product for product in BACKPROP.backward if product.output.name.startswith("w"))
WAYS = {
    "backpropagation": BACKPROP,
    "FA": TrainingStep(
        BACKPROP.forward,
        (
            *OF_WEIGHTS,
            matmul("y.grad[B,K] @ r4[K,H] -> h.grad[B,H]"),
            matmul("h.grad[B,H] @ r3[H,G] -> g.grad[B,G]"),
            matmul("g.grad[B,G] @ r2[G,F] -> f.grad[B,F]"),
        ),
    ),
    "DFA": TrainingStep(
        BACKPROP.forward,
        (
            *OF_WEIGHTS,
            matmul("y.grad[B,K] @ r4[K,H] -> h.grad[B,H]"),
            matmul("y.grad[B,K] @ r3[K,G] -> g.grad[B,G]"),
            matmul("y.grad[B,K] @ r2[K,F] -> f.grad[B,F]"),
        ),
    ),
}


def in_table(frame):
    return {str(name): number for name, number in frame.table.rows}


def test_every_state_has_the_flops_of_its_step(states):
    picture = training_graph(LAYERS, SIZES)
    for state, frame in states(picture):
        frozen = [f"w{number}" for number in range(1, 5) if state[f"w{number}"]]
        step = training_step(*LAYERS, data="x" if state["x_is"] == "data" else (), frozen=frozen)
        shown = in_table(frame)
        assert shown["forward"] == evaluate(flops(step.forward), SIZES)
        if not state["run"]:
            assert "backward" not in shown
            continue
        back = evaluate(flops(step.backward), SIZES)
        assert shown["backward"] == back
        for product in training_step(*LAYERS).backward:
            assert shown[str(product)] == (evaluate(product.flops, SIZES) if product in step.backward else 0)
        said = float(re.search(r": ([\d.]+) FLOPs", frame.sentence)[1])
        assert abs(said - Fraction(back, shown["forward"])) <= 0.00005
        not_run = sum("not run" in shape for shape in frame.shapes)
        assert not_run == 8 - len(step.backward)
        assert sum(product.output.name in frame.sentence for product in training_step(*LAYERS).backward) == not_run


def test_nothing_is_told_before_the_backward_pass_runs():
    frame = training_graph(LAYERS, SIZES).frame()
    assert frame.sentence.endswith("Say a number, then run it.")
    assert not any("grad" in shape for shape in frame.shapes)


def test_the_widths_of_two_arrows_are_as_their_flops():
    shapes = training_graph(LAYERS, SIZES).frame().shapes
    outlines = [re.findall(r"[\d.-]+", shape) for shape in shapes if 'class="forward"' in shape and "<path" in shape]
    widths = [abs(float(numbers[1]) - float(numbers[-1])) for numbers in outlines]
    counts = [evaluate(layer.flops, SIZES) for layer in LAYERS]
    for width, count in zip(widths, counts, strict=True):
        assert width / widths[0] == pytest.approx(count / counts[0], abs=0.02)


def test_every_way_has_the_flops_of_its_step(states):
    picture = error_paths(WAYS, SIZES, "K", [2, 7, 13, 40])
    for state, frame in states(picture):
        sizes = {**SIZES, "K": state["size"]}
        shown = in_table(frame)
        step = WAYS[state["way"]]
        more = evaluate(flops(step.backward), sizes) - evaluate(flops(BACKPROP.backward), sizes)
        assert shown["backward"] == evaluate(flops(step.backward), sizes)
        assert shown["forward"] == evaluate(flops(step.forward), sizes)
        assert sum(shown[str(product)] for product in step.backward) == shown["backward"]
        assert shown["more than backpropagation"] == more
        assert (" more than" in frame.sentence) == (more > 0)
        assert (" fewer than" in frame.sentence) == (more < 0)


def test_equal_widths_take_as_many():
    sizes = dict(B=2, D=3, F=5, G=7, H=7, K=7)
    assert "as many as backpropagation: here" in error_paths(WAYS, sizes, "K", [3, 7]).frame(way="DFA").sentence
    assert "as many as backpropagation: a random" in error_paths(WAYS, sizes, "K", [3, 7]).frame(way="FA").sentence


def test_what_is_not_a_chain_is_refused():
    with pytest.raises(ValueError, match="does not begin with f, which"):
        training_graph([LAYERS[0], LAYERS[2]], SIZES)
    with pytest.raises(ValueError, match="there are no layers to draw"):
        training_graph([], SIZES)
    with pytest.raises(TypeError, match="'x' is not a product"):
        training_graph("x", SIZES)
    with pytest.raises(ValueError, match="FA and backprop have other layers forward"):
        error_paths({"backprop": training_step(*LAYERS[:2]), "FA": WAYS["FA"]}, SIZES, "K", [2, 13])
    with pytest.raises(ValueError, match=r"steps=\{\} has no step"):
        error_paths({}, SIZES, "K", [2, 13])
