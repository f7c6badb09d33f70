"""Test the picture of what fine-tuning saves: each state's numbers are the formula's, and add up."""

import pytest

from flopbook.drawing import fine_tuning
from flopbook.predict import evaluate, flops, matmul
from flopbook.predict.models import fine_tunings

LAYERS = [matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")]
SIZES = dict(B=6, D=256, H=64, K=512, R=2)  # with full blocks of 4-bit numbers
VALUES = {"R, the rank": [1, 2, 40], "B, tokens": [2, 6]}


@pytest.fixture(scope="module")
def ways():
    return fine_tunings(*LAYERS)


@pytest.fixture(scope="module")
def picture(ways):
    return fine_tuning(ways, SIZES, VALUES)


def test_each_state_has_the_flops_and_bytes_of_its_way(picture, ways, states):
    for state, frame in states(picture):
        step, memory = ways[state["way"]]
        sizes = SIZES | {letter: state[letter] for letter in "RB"}
        rows = {(unit, kind): amount for unit, kind, amount in frame.table.rows}
        assert rows["FLOPs", "all"] == evaluate(step.flops, sizes)
        assert rows["bytes", "all"] == evaluate(memory.total, sizes)
        for unit in ("FLOPs", "bytes"):
            assert rows[unit, "all"] == sum(v for (of, kind), v in rows.items() if of == unit and kind != "all")


def test_work_is_told_apart(picture):
    rows = {kind: amount for unit, kind, amount in picture.frame(way="LoRA").table.rows if unit == "FLOPs"}
    one = evaluate(flops(LAYERS), SIZES)
    assert (rows["forward"], rows["input gradients"], rows["weight gradients"]) == (one, one, 0)
    assert rows["adapters"] == 6 * 6 * 2 * (256 + 64 + 64 + 512)


def test_the_sentence_says_which_shares_go(picture, ways, states):
    every, _ = ways["everything"]
    for state, frame in states(picture):
        if state["way"] == "everything":
            assert frame.sentence.startswith("Everything is trained: ")
            continue
        sizes = SIZES | {letter: state[letter] for letter in "RB"}
        saved = 1 - evaluate(ways[state["way"]].step.flops, sizes) / evaluate(every.flops, sizes)
        said = f"{saved:.1%} of the FLOPs go" if saved >= 0 else f"{-saved:.1%} more FLOPs than training everything"
        assert frame.sentence.lower().startswith(f"{state['way']}: {said}, and ".lower())


def test_a_bar_is_as_long_as_its_share_of_the_frame(picture):
    frame = picture.frame(way="the last layer")
    ends = [float(shape.split('"')[1]) for shape in frame.shapes if shape.startswith("<line")]
    mine, everything = ([row[2] for row in of.table.rows if row[1] == "all"] for of in (frame, picture.frame()))
    assert ends == [pytest.approx(320 * one / whole, abs=0.01) for one, whole in zip(mine, everything, strict=True)]


def test_a_size_that_is_missing_is_named(ways):
    with pytest.raises(ValueError, match="needs a size for"):
        fine_tuning(ways, dict(B=6, R=2), VALUES).frame()
