"""Test the picture of what a published formula counts of a model's parameters."""

import re

import pytest

from flopbook.drawing import what_n_counts
from flopbook.predict import evaluate
from flopbook.predict.models import PUBLISHED, decoder

NAMES = "GPT-2 small", "GPT-3 175B", "Llama 3 8B"


@pytest.fixture(scope="module")
def picture():
    return what_n_counts({name: PUBLISHED[name] for name in NAMES})


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
        areas = frame.shapes[1:7]
        for area, (_, number, counted) in zip(areas, frame.table.rows, strict=True):
            assert ("forward" in area, "left-out" in area) == ((counted == "yes"), (counted == "no")) or number == 0


@pytest.mark.parametrize(
    ("model", "formula", "error"),
    [  # as the lecture on published formulas derives them, and the step of a decoder
        ("GPT-3 175B", "6 N", -2.7),
        ("GPT-3 175B", "6 N + attention (Chowdhery)", 0.0),
        ("GPT-3 175B", "Kaplan, table 1", -1.7),
        ("GPT-3 175B", "Narayanan, equation 3", 33.2),
        ("GPT-3 175B", "Hoffmann, appendix F", 0.4),
        ("GPT-3 175B", "Megatron-LM, its code", -1.3),
        ("GPT-2 small", "6 N + attention (Chowdhery)", 0.6),
        ("Llama 3 8B", "6 N + attention (Chowdhery)", 5.4),
    ],
)
def test_the_error_is_that_of_the_formula(picture, model, formula, error):
    said = picture.frame(model=model, formula=formula).sentence
    percent, side = re.search(r"it is ([\d.]+)% too (high|low)", said).groups()
    assert float(percent) * (1 if side == "high" else -1) == pytest.approx(error)


def test_6_n_is_held_against_the_products_of_a_decoder(picture):
    sizes = PUBLISHED["Llama 3 8B"] | dict(B=1)
    claimed = 6 * evaluate(decoder().parameters, sizes) * sizes["T"]
    error = 100 * (claimed / evaluate(decoder().forward + decoder().backward, sizes) - 1)
    assert f"{abs(error):.1f}% too low" in picture.frame(model="Llama 3 8B", formula="6 N").sentence
