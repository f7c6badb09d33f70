"""Test the picture of a kernel that moves over a padded image."""

import itertools
import re

import pytest

from flopbook.drawing import moving_kernel
from flopbook.predict import conv, evaluate, matmul

PRODUCT = conv("x[X,Y] * w[R,S] -> y[P,Q]")
SIZES = dict(X=5, Y=6)


def met(kernel, padding, stride, dilation):
    """Count the taps that fall on the image one by one, for each place."""
    places = [
        [start for start in range(-padding, size + padding, stride) if start + dilation * (kernel - 1) < size + padding]
        for size in SIZES.values()
    ]
    taps = list(itertools.product(range(kernel), repeat=2))
    return [
        [
            sum(0 <= x + dilation * i < SIZES["X"] and 0 <= y + dilation * j < SIZES["Y"] for i, j in taps)
            for y in places[1]
        ]
        for x in places[0]
    ]


def test_every_number_is_that_of_the_taps_counted_one_by_one(states):
    for state, frame in states(moving_kernel(PRODUCT, SIZES)):
        row, column = state.pop("row") - 1, state.pop("column") - 1
        counts = met(**state)
        drawn = [re.search(r">(\d+)</text>", shape) for shape in frame.shapes]
        assert [[int(figure) for figure in found[1]] for found in drawn if found] == counts
        P, Q, kernel, real = len(counts), len(counts[0]), state["kernel"], sum(map(sum, counts))
        *along, both = (row[1:] for row in frame.table.rows)
        assert both == tuple(a * b for a, b in zip(*along, strict=True)) == (P * Q, P * Q * kernel**2, real)
        down, across, side, _, *every = map(int, re.findall(r"\d+", frame.sentence)[2:])
        row, column = min(row, P - 1), min(column, Q - 1)
        assert frame.sentence.startswith(f"Row {row + 1}, column {column + 1} of y: ")
        assert (down * across, side) == (counts[row][column], kernel)
        assert every == [
            real,
            P * Q * kernel**2,
            P * Q * kernel**2,
            evaluate(PRODUCT.flops, dict(P=P, Q=Q, R=kernel, S=kernel)),
        ]
        assert ("multiply zeros" in frame.sentence) == (real < P * Q * kernel**2)


def test_it_opens_with_a_question():
    assert moving_kernel(PRODUCT, SIZES).frame().sentence.endswith("Which settings leave none?")


def test_without_padding_the_result_is_smaller_unless_the_kernel_is_one_number():
    picture = moving_kernel(PRODUCT, SIZES)
    assert picture.frame(padding=0).sentence.endswith("the result is smaller than the image.")
    assert picture.frame(padding=0, kernel=1).sentence.endswith("the result is as large as the image.")


@pytest.mark.parametrize(
    ("product", "sizes", "error", "says"),
    [
        ("x", SIZES, TypeError, "'x' is not a product"),
        (matmul("x[X,Y] @ w[Y,R] -> y[X,R]"), SIZES, ValueError, "is not a kernel over an image of one channel"),
        (conv("x[B,C,X] * w[K,C,R] -> y[B,K,P]"), SIZES, ValueError, "is not a kernel over an image of one channel"),
        (PRODUCT, dict(X=5), ValueError, "sizes are missing for Y"),
        (PRODUCT, dict(X=4, Y=6), ValueError, "an image of 4 by 6 is too small"),
    ],
)
def test_what_cannot_be_drawn_is_refused(product, sizes, error, says):
    with pytest.raises(error, match=says):
        moving_kernel(product, sizes)
