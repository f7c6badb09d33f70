"""Test the picture of a transformer block, to scale."""

import re

import pytest
from sympy import Integer, symbols

from flopbook.drawing import transformer_block
from flopbook.predict import evaluate, flops
from flopbook.predict.models import PUBLISHED, decoder, decoder_block

NAMES = "GPT-2 small", "Llama 3 8B"


@pytest.fixture(scope="module")
def picture():
    return transformer_block({name: PUBLISHED[name] for name in NAMES})


def sizes_of(state):
    sizes = PUBLISHED[state["model"]] | dict(B=1, T=state["T"], S=state["T"])
    return sizes | dict(G=sizes["H"]) if "every head" in state["form"] else sizes


def scores_again(sizes):
    return evaluate(decoder_block().forward[3].flops, sizes)


def test_the_boxes_of_every_state_add_up_to_the_formula(picture, states):
    for state, frame in states(picture):
        sizes = sizes_of(state)
        step = decoder_block(gated=sizes["matrices"] == 3 and "without" not in state["form"])
        wanted = evaluate(flops(step.forward if state["kind"] == "forward" else step.backward), sizes)
        wanted += scores_again(sizes) if "fused" in state["kind"] else 0
        assert sum(flops or 0 for _, flops in frame.table.rows) * state["T"] == wanted


def test_areas_and_the_bar_are_shares_of_the_block(picture, states):
    for _, frame in states(picture):
        flops = [row[1] or 0 for row in frame.table.rows]
        boxes = [shape for shape in frame.shapes if "scale(" in shape and 'height="1"' in shape]
        sides = [float(re.search(r"scale\(([\d.]+)\)", box)[1]) for box in boxes]
        assert sides == [pytest.approx(137 * (value / sum(flops)) ** 0.5, abs=0.05) for value in flops]
        without_weights = sum(flops[3:6]) / sum(flops)
        assert f"take {without_weights:.1%} of the block" in frame.sentence


@pytest.mark.parametrize("name", PUBLISHED)
def test_half_of_a_block_is_where_the_formula_says(name):
    T = symbols("T")
    products = [
        product.flops.subs({letter: T if letter.name in "ST" else Integer((PUBLISHED[name] | {"B": 1})[letter.name])
                            for letter in product.flops.free_symbols})
        for product in decoder_block(PUBLISHED[name]["matrices"] == 3).forward
    ]  # fmt: skip
    attention = products[3] + products[4]
    half = int((sum(products) - attention).coeff(T) / attention.coeff(T**2))
    said = transformer_block(PUBLISHED).frame(model=name, T=131072).sentence
    assert f"from T = {half:,} on" in said


def test_a_model_that_is_drawn_has_published_sizes():
    parameters = {name: evaluate(decoder().parameters, sizes) for name, sizes in PUBLISHED.items()}
    assert parameters["Llama 3 8B"] == 8_030_261_248
    assert parameters["Llama 3 70B"] == 70_553_706_496
    assert parameters["Llama 3 405B"] == 405_853_388_800
    assert round(parameters["GPT-3 175B"], -9) == 175_000_000_000


def test_a_model_without_a_size_is_refused():
    with pytest.raises(ValueError, match="mine has no size H, G, E, F, matrices: write dict\\(H=3"):
        transformer_block({"mine": dict(D=3), "other": dict(D=3)})
