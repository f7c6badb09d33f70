"""Test the picture of a product that is worked out tile by tile."""

from fractions import Fraction

import pytest

from flopbook.drawing import blocked_product
from flopbook.predict import evaluate, matmul
from flopbook.predict.roofline import arithmetic_intensity
from flopbook.units import plain

PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")
SIZES = dict(D=6, K=8)


@pytest.fixture(scope="module")
def picture():
    return blocked_product(PRODUCT, SIZES, rows=[1, 4], tiles=[1, 2, 4, 8])


def test_the_work_is_done_in_the_end_and_never_with_fewer_bytes_than_the_formula_says(picture, states):
    for state, frame in states(picture):
        sizes = SIZES | dict(B=state["rows"])
        intensity = evaluate(arithmetic_intensity(PRODUCT, 2), sizes)
        (_, flops, moved, _), (_, all_flops, fewest, at_best) = frame.table.rows
        assert all_flops == evaluate(PRODUCT.flops, sizes) >= flops
        assert (Fraction(all_flops, fewest), at_best) == (intensity, plain(intensity))
        if state["part"] == 12:
            assert flops == all_flops
            assert moved >= fewest
            assert ("was moved once" in frame.sentence) == (moved == fewest)


def test_a_tile_with_all_of_the_matrices_moves_as_few_bytes_as_the_formula_says(picture):
    for rows in (1, 4):
        (_, _, moved, _), (_, _, fewest, _) = picture.frame(rows=rows, tile=8, part=12).table.rows
        assert moved == fewest


def test_a_tile_is_read_once_for_each_tile_of_the_result_that_it_has_a_part_in(picture):
    B, D, K = 4, SIZES["D"], SIZES["K"]
    for tile in (1, 2):
        moved = picture.frame(rows=B, tile=tile, part=12).table.rows[0][2]
        assert moved == 2 * (B * D * (K // tile) + D * K * (B // tile) + B * K)


def test_for_one_row_no_tile_makes_the_weights_be_read_less(picture):
    for tile in (1, 2, 4, 8):
        moved = picture.frame(rows=1, tile=tile, part=12).table.rows[0][2]
        assert moved - 2 * (SIZES["D"] * SIZES["K"] + SIZES["K"]) == 2 * SIZES["D"] * -(-SIZES["K"] // tile)


def test_flops_and_bytes_only_grow(picture):
    for tile in (1, 2, 4, 8):
        counts = [picture.frame(tile=tile, part=part).table.rows[0][1:3] for part in range(13)]
        assert counts == sorted(counts)


def test_at_most_three_tiles_are_in_the_fast_memory(picture, states):
    for state, frame in states(picture):
        inside = sum('class="bytes"' in shape for shape in frame.shapes) - 1  # one explains
        assert inside <= 3 * state["tile"] ** 2


def test_what_cannot_be_drawn_is_refused():
    with pytest.raises(ValueError, match="sizes are missing for K"):
        blocked_product(PRODUCT, dict(D=6), rows=[1, 4], tiles=[1, 2])
    with pytest.raises(TypeError, match="3 is not a product"):
        blocked_product(3, SIZES, rows=[1, 4], tiles=[1, 2])
