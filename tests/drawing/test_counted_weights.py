"""Test the picture of what a published formula counts of a model's parameters."""

import re

import pytest

from flopbook.drawing import what_n_counts
from flopbook.predict import evaluate
from flopbook.predict.models import CLAIMS, INVENTORIES, KINDS, PUBLISHED, decoder

NAMES = "GPT-2 small", "GPT-3 175B", "Llama 3 8B", "Mixtral 8x7B"


@pytest.fixture(scope="module")
def picture():
    return what_n_counts({name: INVENTORIES[name] for name in NAMES})


def test_the_squares_are_all_parameters(picture, states):
    for state, frame in states(picture):
        total = sum(number for _, number, _ in frame.table.rows)
        assert f">{total:,} parameters, " in frame.shapes[0]
        if state["model"] == "GPT-2 small":
            assert total == 124_439_808
        if state["model"] == "Llama 3 8B":
            assert total == evaluate(decoder().parameters, PUBLISHED["Llama 3 8B"]) == 8_030_261_248


def test_filled_areas_are_what_the_formula_counts(picture, states):
    for _, frame in states(picture):
        areas = frame.shapes[1 : 1 + len(KINDS)]
        for area, (_, number, counted) in zip(areas, frame.table.rows, strict=True):
            assert ("forward" in area, "left-out" in area) == ((counted == "yes"), (counted == "no")) or number == 0


def test_the_error_is_that_of_the_formula_against_what_is_counted_or_needed(picture, states):
    for state, frame in states(picture):
        model = INVENTORIES[state["model"]]
        right = model.dense if state["attention"] == "dense" else model.needed
        error = 100 * float(CLAIMS[state["formula"]].flops(model) / right - 1)
        said = re.search(r"it is ([\d.]+)% too (high|low), with attention (\w+)", frame.sentence)
        if error:
            percent, side, attention = said.groups()
            assert attention == state["attention"]
            assert float(percent) * (1 if side == "high" else -1) == pytest.approx(error, abs=0.051)
        else:
            assert "it is exact" in frame.sentence


def test_a_bar_that_leaves_the_axis_ends_in_an_arrow(picture):
    shown = "".join(picture.frame(model="Mixtral 8x7B", formula="6 N").shapes)
    assert "\N{RIGHTWARDS ARROW}" in shown
    assert "\N{RIGHTWARDS ARROW}" not in "".join(picture.frame(model="GPT-3 175B", formula="6 N").shapes)


def test_sizes_in_place_of_an_inventory_are_refused():
    with pytest.raises(TypeError, match="is not an inventory"):
        what_n_counts({"GPT-2 small": PUBLISHED["GPT-2 small"]})


def test_6_n_is_held_against_the_products_of_a_decoder(picture):
    sizes = PUBLISHED["Llama 3 8B"] | dict(B=1)
    claimed = 6 * evaluate(decoder().parameters, sizes) * sizes["T"]
    error = 100 * (claimed / evaluate(decoder().forward + decoder().backward, sizes) - 1)
    assert f"{abs(error):.1f}% too low" in picture.frame(model="Llama 3 8B", formula="6 N").sentence
