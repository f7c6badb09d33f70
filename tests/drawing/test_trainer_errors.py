"""Test the picture of how far trainers' formulas are off."""

import re

import pytest

from flopbook.drawing import errors_of_trainers
from flopbook.predict import L, axis
from flopbook.predict.models import CAUSAL, TRAINERS, in_window, inventory

SIZES = dict(L=6, D=24, H=5, G=3, E=8, F=36, V=101)
MODELS = {
    "a decoder": inventory(gated=True).at(**SIZES),
    "windows": inventory(gated=True, masks={CAUSAL: L / 2, in_window(axis("W")): L / 2}).at(**SIZES, W=9),
    "experts": inventory(gated=True, experts=True).at(**SIZES, X=7, K=2),
}


@pytest.fixture(scope="module")
def picture():
    return errors_of_trainers(MODELS)


def test_each_row_is_its_formula_beside_the_products(picture, states):
    for state, frame in states(picture):
        model = MODELS[state["model"]].at(T=state["T"])
        right = model.dense if state["attention"] == "dense" else model.needed
        assert len(frame.table.rows) == 7
        for trainer, flops, error in frame.table.rows:
            claimed = TRAINERS[trainer].flops(model)
            assert abs(flops - claimed) <= 0.5
            off = 100 * float(claimed / right - 1)
            assert ("✓" in error) == (abs(off) < 0.1)
            if abs(off) < 0.01:
                assert error == ("✓ < 0.01%" if off else "✓ exact")
            else:
                percent = re.search(r"([+−][\d,.]+)%", error)[1].replace("−", "-").replace(",", "")
                assert float(percent) == pytest.approx(off, abs=0.051)


def test_the_sentence_names_who_is_near_and_who_is_furthest_off(picture, states):
    for state, frame in states(picture):
        model = MODELS[state["model"]].at(T=state["T"])
        right = model.dense if state["attention"] == "dense" else model.needed
        off = {trainer: abs(float(TRAINERS[trainer].flops(model) / right - 1)) for trainer, *_ in frame.table.rows}
        near = [trainer for trainer, error in off.items() if error < 0.001]
        within = re.search(r"Within 0.1%: (.*?)\. Furthest", frame.sentence)
        assert (re.split(", | and ", within[1]) if within else []) == near
        assert f"Furthest off is {max(off, key=off.get)}, " in frame.sentence


def test_a_bar_is_on_the_side_of_its_error_and_ends_in_an_arrow_where_it_leaves_the_axis(picture, states):
    for state, frame in states(picture):
        model = MODELS[state["model"]].at(T=state["T"])
        right = model.dense if state["attention"] == "dense" else model.needed
        drawn = "".join(frame.shapes)
        errors = [float(TRAINERS[trainer].flops(model) / right - 1) for trainer, *_ in frame.table.rows]
        bars = re.findall(r'<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"', drawn)
        for (x, width), error in zip(bars, errors, strict=True):
            assert float(width) == pytest.approx(112 * min(abs(error), 0.4) / 0.4, abs=0.01)
            assert float(x) == pytest.approx(256 - float(width) * (error < 0), abs=0.02)
        assert drawn.count("\N{RIGHTWARDS ARROW}") == sum(error > 0.4 for error in errors)
        assert drawn.count("\N{LEFTWARDS ARROW}") == sum(error < -0.4 for error in errors)


def test_sizes_in_place_of_an_inventory_are_refused():
    with pytest.raises(TypeError, match="is not an inventory"):
        errors_of_trainers({"a decoder": SIZES, "another": SIZES})
