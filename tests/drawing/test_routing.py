"""Test the picture of tokens on their way through experts."""

import re
from fractions import Fraction

import pytest

from flopbook.drawing import token_routing
from flopbook.predict import evaluate, flops
from flopbook.predict.models import X, experts_layer, slots

WIDTHS = dict(D=64, F=256)
TOKENS = 16


@pytest.fixture(scope="module")
def picture():
    return token_routing(WIDTHS)


def rows_that_run(state):
    sizes = dict(B=1, T=TOKENS, K=state["K"], X=state["X"])
    if state["capacity"] == "no limit":
        return TOKENS * state["K"]
    return evaluate(X * slots(Fraction(state["capacity"])), sizes)


def test_what_runs_is_the_formula_in_every_state(picture, states):
    _, *products = experts_layer().forward
    for state, frame in states(picture):
        *_, total = frame.table.rows
        assert total[-1] == evaluate(flops(products), WIDTHS | dict(M=rows_that_run(state)))


def test_no_row_and_no_slot_is_lost(picture, states):
    for state, frame in states(picture):
        *experts, (_, came, dropped, empty, run) = frame.table.rows
        assert came == TOKENS * state["K"] == sum(row[1] for row in experts)
        assert [dropped, empty, run] == [sum(row[column] for row in experts) for column in (2, 3, 4)]
        assert came - dropped + empty == rows_that_run(state)
        assert max(row[1] for row in experts) <= TOKENS


def test_bars_are_as_long_as_their_flops(picture, states):
    for _, frame in states(picture):
        *_, (_, came, dropped, empty, run) = frame.table.rows
        bars = frame.shapes[-11::3]  # each stands between its name and its FLOPs
        widths = [float(re.search(r'width="([\d.]+)"', bar)[1]) for bar in bars]
        of_rows = [came, came - dropped + empty, came - dropped, dropped]
        assert widths == [pytest.approx(250 * rows / 72, abs=0.01) for rows in of_rows]
        assert f"{run:,} FLOPs" in "".join(frame.shapes)


def test_the_sentence_says_what_is_dropped(picture, states):
    for state, frame in states(picture):
        *experts, (_, _, dropped, empty, _) = frame.table.rows
        if state["capacity"] == "no limit":
            fullest = max(row[1] for row in experts)
            assert (
                f"{fullest} rows, {fullest * state['X'] / (TOKENS * state['K']):.3g} times the mean" in frame.sentence
            )
        elif dropped:
            assert f"{dropped} find no slot and skip the experts, {empty} slots stay empty" in frame.sentence
        else:
            assert "all find one" in frame.sentence


def test_widths_are_needed():
    with pytest.raises(ValueError) as error:
        token_routing(dict(D=3))
    assert str(error.value) == "{'D': 3} has no size F: write dict(D=8, F=16)"
