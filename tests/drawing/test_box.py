"""Test the picture of a product's cubes, and of what its gradients make of them."""

import re

import pytest

from flopbook.drawing import product_box
from flopbook.predict import evaluate, flops, matmul

PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")
SIZES = dict(B=2, D=4, K=3)


def test_the_table_has_the_flops_of_the_product_and_of_both_gradients():
    *lines, total = product_box(PRODUCT, SIZES).frame().table.rows
    for product, (name, summed, terms, sums, count) in zip((PRODUCT, *PRODUCT.gradients), lines, strict=True):
        assert name == str(product)
        assert terms == SIZES[summed]
        assert 2 * terms * sums == count == evaluate(product.flops, SIZES)
    assert total[-1] == evaluate(flops(PRODUCT) + flops(PRODUCT.gradients), SIZES)


def test_each_cube_lights_the_entries_that_it_multiplies(states):
    picture = product_box(PRODUCT, SIZES)
    seen = {}
    for state, frame in states(picture):
        assert sum("full" in shape for shape in frame.shapes) == 3
        if state["made"] == "all its cubes":
            continue
        at = re.search(
            r"(\w[\w.]*?)([₁-₉])([₁-₉]) · (\w[\w.]*?)([₁-₉])([₁-₉]) goes to (\w[\w.]*?)([₁-₉])([₁-₉]),", frame.sentence
        )
        seen.setdefault(state["made"], set()).add(at.groups())
        assert f"{evaluate(PRODUCT.flops, SIZES)} FLOPs" in frame.sentence
    assert {made: len(terms) for made, terms in seen.items()} == {"y": 24, "w.grad": 24, "x.grad": 24}
    for x, b, d, w, d2, k, y, b2, k2 in seen["y"]:
        assert (x, w, y) == ("x", "w", "y")
        assert (d, b, k) == (d2, b2, k2)
    for left, _, d, right, _, k, made, d2, k2 in seen["w.grad"]:
        assert (left, right, made) == ("x", "y.grad", "w.grad")
        assert (d, k) == (d2, k2)


def test_a_click_on_the_box_chooses_the_cube_that_one_sees():
    shapes = product_box(PRODUCT, SIZES).frame().shapes
    numbers = [int(number) for shape in shapes for number in re.findall(r'data-set="cube=(\d+)"', shape)]
    assert len(numbers) == 2 * 4 + 4 * 3 + 2 * 3
    for number in set(numbers):
        dark = product_box(PRODUCT, SIZES).frame(cube=number).shapes
        clicked = [shape for shape in shapes if f'"cube={number}"' in shape]
        outlines = [re.search(r'd="([^"]+)"', shape)[1] for shape in dark if 'fill-opacity="0.7"' in shape]
        assert all(any(outline in shape for outline in outlines) for shape in clicked)


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="sizes are missing for K"):
        product_box(PRODUCT, dict(B=1, D=2))
