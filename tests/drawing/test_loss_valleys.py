"""Test the picture of valleys of equal FLOPs."""

import re

import pytest

from flopbook.drawing import isoflop_valleys
from flopbook.predict.scaling import LAWS, Run
from flopbook.units import plain

BUDGETS = {"10²¹": 1e21, "5.76 × 10²³": 5.76e23, "10²⁵": 1e25}
SERVED = {"none": 0, "10 trillion": 10**13}


@pytest.fixture(scope="module")
def picture():
    return isoflop_valleys(LAWS, BUDGETS, SERVED, start=("Hoffmann, rounded", "5.76 × 10²³"))


def test_every_state_shows_the_run_of_the_least_loss(picture, states):
    for state, frame in states(picture):
        law, budget, served = LAWS[state["law"]], BUDGETS[state["budget"]], SERVED[state["use"]]
        best = law.optimum(budget, served)
        first, second = frame.table.rows
        least = law.loss(best.parameters, best.tokens)
        assert first == (
            "best",
            plain(best.parameters),
            plain(best.tokens),
            plain(best.tokens_per_parameter),
            f"{least:.3f}",
            f"{best.serving / budget:.0%}",
        )
        assert second[0] == "20 for each" and float(second[4]) >= round(least, 3)
        assert f"{plain(best.tokens_per_parameter)} for each parameter" in frame.sentence
        assert f"best: {plain(best.tokens_per_parameter)} for each" in "".join(frame.shapes)


def test_twenty_tokens_for_each_parameter_spend_the_same_budget(picture, states):
    for state, frame in states(picture):
        parameters, tokens = (float(number.replace(",", "")) for number in frame.table.rows[1][1:3])
        run = Run(parameters, tokens, SERVED[state["use"]])
        assert run.total == pytest.approx(BUDGETS[state["budget"]], rel=0.02)
        assert run.tokens_per_parameter == pytest.approx(20, rel=0.01)


def test_the_best_point_is_the_lowest_of_its_valley(picture, states):
    for _, frame in states(picture):
        valley = next(shape for shape in frame.shapes if "forward line" in shape)
        heights = [float(y) for y in re.findall(r"[ML][\d.]+ ([\d.]+)", valley)]
        (point,) = (float(re.search(r'cy="([\d.]+)"', shape)[1]) for shape in frame.shapes if "<circle" in shape)
        assert point == max(heights)  # downwards


def test_the_first_state_asks_and_use_makes_the_model_smaller(picture):
    assert picture.frame().sentence.endswith("where does the best size go?")
    assert "A smaller model is cheaper to use" in picture.frame(use="10 trillion").sentence
    assert "With 20 for each it is" in picture.frame(law="Besiroglu").sentence


def test_what_is_not_a_law_is_refused():
    with pytest.raises(TypeError, match="3 is not a law: write Law"):
        isoflop_valleys({"three": 3}, BUDGETS, SERVED, start=("three", "10²¹"))
    with pytest.raises(ValueError, match="law='Hoffman' is not known"):
        isoflop_valleys(LAWS, BUDGETS, SERVED, start=("Hoffman", "10²¹"))
