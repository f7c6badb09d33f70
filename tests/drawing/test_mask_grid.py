"""Test the picture of which queries meet which keys."""

import re

import numpy
import pytest

from flopbook.drawing import painted_mask
from flopbook.predict import evaluate, flops, matmul
from flopbook.predict.models import causal, window

SCORES = matmul("q[B,T,H,E] @ k[B,S,H,E] -> s[B,H,T,S]")
MIX = matmul("p[B,H,T,S] @ v[B,S,H,E] -> o[B,T,H,E]")
SIZES = dict(B=2, H=3, E=5)
TOKENS = 12


def allowed(mask, W):
    """Write a mask out."""
    query, key = numpy.indices((TOKENS, TOKENS))
    before = query >= key
    return {
        "none": numpy.ones((TOKENS, TOKENS), dtype=bool),
        "causal": before,
        "window": before & (query - key < W),
        "chunks": before & (query // W == key // W),
        "two documents": before & ((query < W) == (key < W)),
    }[mask]


def in_blocks(pairs, size):
    """Fill each block in which one pair is needed."""
    blocks = pairs.reshape(TOKENS // size, size, TOKENS // size, size).any(axis=(1, 3))
    return blocks.repeat(size, 0).repeat(size, 1)


@pytest.fixture(scope="module")
def picture():
    return painted_mask(SIZES, tokens=TOKENS)


def test_every_state_has_the_pairs_of_its_mask_written_out(picture, states):
    for state, frame in states(picture):
        needed = allowed(state["mask"], state["W"])
        expected = TOKENS**2, int(in_blocks(needed, state["M"]).sum()), int(needed.sum())
        assert tuple(pairs for _, pairs, _ in frame.table.rows) == expected
        for number in expected:
            assert f"{number}" in frame.sentence


def test_flops_are_those_of_the_products_for_each_pair(picture, states):
    dense = evaluate(flops([SCORES, MIX]), dict(T=TOKENS, S=TOKENS, **SIZES))
    for _, frame in states(picture):
        assert frame.table.rows[0][2] == dense
        assert all(each == pairs * dense // TOKENS**2 for _, pairs, each in frame.table.rows)


def test_what_runs_in_blocks_is_the_same_mask_over_blocks(picture):
    for M in (1, 2, 3, 4, 6, 12):
        run = picture.frame(mask="causal", M=M).table.rows[1][1]
        assert run == M**2 * causal(TOKENS // M)
        for W in range(1, TOKENS + 1):
            run = picture.frame(mask="window", W=W, M=M).table.rows[1][1]
            assert run == M**2 * window(TOKENS // M, -(-(W - 1) // M) + 1)


def test_a_click_on_a_pair_sets_the_window_that_just_reaches_it(picture):
    """Their places are read off the drawing: 20 units a pair, from 36 and 40 on."""
    for shape in picture.frame().shapes:
        if "data-set" in shape:
            x, y, W = (int(re.search(name + r'"?(\d+)', shape)[1]) for name in (" x=", " y=", "set=.W="))
            assert (y - 40) / 20 - (x - 36) / 20 == W - 1


@pytest.mark.parametrize(
    ("sizes", "tokens", "says"), [(dict(B=1), 12, "needs a size for"), (SIZES, 3, "tokens=3 is not a size")]
)
def test_what_cannot_be_drawn_is_refused(sizes, tokens, says):
    with pytest.raises(ValueError, match=says):
        painted_mask(sizes, tokens)
