"""Test the picture of a step that runs on sizes alone."""

import pytest

from flopbook.drawing import run_on_letters
from flopbook.predict import evaluate, flops, matmul, training_step

STEP = training_step(matmul("x[B,D] @ w1[D,F] -> h[B,F]"), matmul("g[B,F] @ w2[F,K] -> y[B,K]"), data="x")
SIZES = dict(B=3, D=5, F=7, K=2)


def test_the_last_sum_is_the_formula_at_letters_and_at_numbers():
    picture = run_on_letters(STEP, SIZES)
    last = picture.controls[1].values[-1]
    assert last == len(STEP.forward) + len(STEP.backward)
    assert "4BDF + 6BFK so far" in picture.frame(kind="letters", step=last).sentence
    assert f"{evaluate(flops(STEP), SIZES):,} so far" in picture.frame(kind="numbers", step=last).sentence


def test_every_step_adds_its_product(states):
    products = [*STEP.forward, *STEP.backward]
    for state, frame in states(run_on_letters(STEP, SIZES)):
        known = [row[2] for row in frame.table.rows if row[2]]
        assert len(known) == state["step"]
        if state["kind"] == "numbers":
            so_far = sum(evaluate(product.flops, SIZES) for product in products[: state["step"]])
            assert sum(int(flops.replace(",", "")) for flops in known) == so_far
            assert f"{so_far:,} so far" in frame.sentence


def test_what_is_not_a_step_is_refused():
    with pytest.raises(TypeError, match="is not a training step"):
        run_on_letters(STEP.forward[0], SIZES)
