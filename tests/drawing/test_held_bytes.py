"""Test the picture of the bytes over a step."""

import pytest

from flopbook.drawing import Setting, memory_over_step
from flopbook.predict import evaluate, matmul, training_step
from flopbook.predict.memory import training_memory
from flopbook.predict.moments import moments

STEP = training_step(
    matmul("x[B,D] @ w1[D,H1] -> h1[B,H1]"),
    matmul("h1[B,H1] @ w2[H1,H2] -> h2[B,H2]"),
    matmul("h2[B,H2] @ w3[H2,K] -> y[B,K]"),
    data="x",
)
SIZES = dict(B=7, D=2, H1=5, H2=3, K=4)


@pytest.fixture(scope="module")
def picture():
    return memory_over_step(STEP, SIZES)


def test_each_moment_s_bytes_are_predicted_ones_and_add_up(picture, states):
    for state, frame in states(picture):
        setting = Setting(**{name: state[name] for name in Setting._fields})
        *rows, total = [row[1] for row in frame.table.rows]
        if rows[0] is None:
            assert frame.sentence.startswith("Nothing runs here")
            continue
        assert total == sum(rows)
        assert f": {total:,} bytes. " in frame.sentence
        assert rows in [list(moment.held.values()) for moment in moments(STEP, SIZES, **setting._asdict())]


def test_each_setting_shows_every_one_of_its_moments(picture, states):
    shown = {}
    for state, frame in states(picture):
        setting = Setting(**{name: state[name] for name in Setting._fields})
        if (held := [row[1] for row in frame.table.rows[:-1]])[0] is not None:
            shown.setdefault(setting, []).append(held)
    assert len(shown) == 8
    for setting, held in shown.items():
        assert held == [list(moment.held.values()) for moment in moments(STEP, SIZES, **setting._asdict())]


def test_it_starts_with_the_first_product_and_a_question(picture):
    first = picture.frame()
    assert first == picture.frame(moment=1)
    assert dict(first.table.rows)["activations"] < dict(picture.frame(moment=2).table.rows)["activations"]
    assert first.sentence.startswith("Forward, the product with w1: ")
    assert first.sentence.endswith("Which kind will be the largest? Guess, then step on.")


def test_the_forward_pass_ends_with_all_activations(picture):
    last = picture.frame(moment=6)
    assert "The forward pass ends" in last.sentence
    held = dict(last.table.rows)
    memory = training_memory(
        STEP,
        biases=["b1[H1]", "b2[H2]", "b3[K]"],
        also_kept=["z1[B,H1]", "z2[B,H2]", "y[B,K]", "target[B,K]"],
    )
    for kind in ("parameters", "optimizer", "activations"):
        assert held[kind] == evaluate(getattr(memory, kind), SIZES)


def test_what_was_measured_is_drawn_and_compared():
    setting = Setting("SiLU", "AdamW", False)
    predicted = [sum(moment.held.values()) for moment in moments(STEP, SIZES)]
    right = memory_over_step(STEP, SIZES, {setting: predicted}).frame()
    wrong = memory_over_step(STEP, SIZES, {setting: [each + 4 for each in predicted]}).frame()
    assert "and PyTorch held as many" in right.sentence
    assert f"PyTorch held {right.table.rows[-2][1] + 4:,}" in wrong.sentence
    assert sum("<circle" in shape for shape in right.shapes) == len(predicted)
    with pytest.raises(ValueError, match="has 3 measured bytes: give 13, one for each moment"):
        memory_over_step(STEP, SIZES, {setting: predicted[:3]})


def test_the_peak_is_named_at_the_moment_with_the_most_bytes(picture, states):
    most = {}
    named = {}
    for state, frame in states(picture):
        setting = Setting(**{name: state[name] for name in Setting._fields})
        total = frame.table.rows[-1][1] or 0
        most[setting] = max(most.get(setting, 0), total)
        if "the peak of the step" in frame.sentence:
            named[setting] = total
    assert named == most
