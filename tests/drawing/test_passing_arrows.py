"""Test the picture of derivatives: every state has the products and the FLOPs of its formula."""

import pytest

from flopbook.drawing import derivative_arrows
from flopbook.predict import TrainingStep, evaluate, flops, matmul, training_step
from flopbook.predict.derivatives import ORDERS, hessian_vector, jvp

LAYERS = [
    matmul("x[B,D] @ w1[D,F] -> h1[B,F]"),
    matmul("h1[B,F] @ w2[F,H] -> h2[B,H]"),
    matmul("h2[B,H] @ w3[H,K] -> y[B,K]"),
]
SIZES = dict(B=2, D=3, F=5, H=7, K=11)


def derived(way, zeros):
    step = training_step(*LAYERS, data="x")
    if way in ORDERS:
        return hessian_vector(step, way, zeros=zeros)
    return {"the loss alone": TrainingStep(step.forward, ()), "gradient": step, "jvp": jvp(step, zeros=zeros)}[way]


def test_every_state_has_the_flops_of_its_formula(states):
    for state, frame in states(derivative_arrows(LAYERS, SIZES, "D, features", [2, 3, 13])):
        predicted = derived(state["way"], state["zeros"])
        runs = (*predicted.forward, *predicted.backward)
        at = {**SIZES, "D": state["size"]}
        total = evaluate(flops(runs), at)
        *rows, (_, _, all_of_it) = frame.table.rows
        assert all_of_it == total == sum(number for *_, number in rows)
        shown = {product: number for _, product, number in rows}
        for product in runs:
            assert shown.pop(str(product)) == evaluate(product.flops, at)
        assert not any(shown.values())
        assert f"{len(runs)} products, {total:,} FLOPs" in frame.sentence
        assert sum("<path" in shape for shape in frame.shapes) == len(rows)
        assert sum("<path" in shape and "left-out" in shape for shape in frame.shapes) == len(rows) - len(runs)


def test_like_products_share_a_lane():
    shapes = derivative_arrows(LAYERS, SIZES, "D", [2, 3]).frame(way="reverse over reverse", zeros=True).shapes
    heights = {shape.split('y="')[1].split('"')[0] for shape in shapes if " · " in shape}
    assert len(heights) == 9


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="letter='Z' is not known"):
        derivative_arrows(LAYERS, SIZES, "Z, features", [2, 3])
    with pytest.raises(ValueError, match="does not begin with h1, which"):
        derivative_arrows([LAYERS[0], LAYERS[2]], SIZES, "D", [2, 3])
