"""Test that an audit reads off printed counts what was built, at any widths."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import solve
from torch import nn

from flopbook.measure import FlopCount
from flopbook.predict import B, D, K, axis, evaluate, flops, matmul, training_step

H1 = axis("H1")
STEP = training_step(
    matmul("x[B,D] @ w1[D,H1] -> h1[B,H1]"),
    matmul("h1[B,H1] @ w2[H1,H2] -> h2[B,H2]"),
    matmul("h2[B,H2] @ w3[H2,H3] -> h3[B,H3]"),
    matmul("h3[B,H3] @ w4[H3,K] -> y[B,K]"),
    data="x",
)
SIZES = st.integers(1, 60)


@pytest.fixture(scope="module")
def first():
    """Solve the two counts for the first width."""
    (width,) = solve(2 * flops(STEP.forward) - flops(STEP.backward) - (2 * axis("F") - axis("G")), H1)
    return width


def counted(batch, *widths):
    with torch.device("meta"), FlopCount() as count:
        layers = [part for a, b in pairwise(widths) for part in (nn.Linear(a, b), nn.Tanh())]
        nn.Sequential(*layers)(torch.empty(batch, widths[0])).sum().backward()
    return count.forward, count.backward


@settings(max_examples=12)
@given(SIZES, st.tuples(SIZES, SIZES, SIZES, SIZES, SIZES))
def test_the_first_width_is_read_off_two_counts(first, batch, widths):
    forward, backward = counted(batch, *widths)
    known = {"B": batch, "D": widths[0], "F": forward, "G": backward}
    assert evaluate(first, known) == widths[1]


@pytest.mark.parametrize("slip", [-1, 1])
def test_a_count_that_is_off_by_one_gives_no_width(first, slip):
    forward, backward = counted(7, 5, 11, 3, 4, 2)
    assert evaluate(first, {"B": 7, "D": 5, "F": forward, "G": backward}) == 11
    assert evaluate(first, {"B": 7, "D": 5, "F": forward, "G": backward + slip}) != 11


@given(SIZES, SIZES, SIZES)
def test_four_summands_of_a_normalized_layer(batch, features, classes):
    model = nn.Sequential(nn.BatchNorm1d(features), nn.ReLU(), nn.Linear(features, classes), nn.ReLU()).eval()
    with torch.no_grad(), FlopCount() as count:
        model(torch.ones(batch, features))
    sizes = {"B": batch, "D": features, "K": classes}
    assert evaluate(2 * B * D * K, sizes) == count.total
    assert evaluate(2 * B * D + B * D + B * K + B * K, sizes) == count.pointwise["forward"]


@given(st.lists(SIZES, min_size=2, max_size=5))
def test_lengths_count_each_unit_twice(widths):
    parameters = [p for a, b in pairwise(widths) for p in nn.Linear(a, b).parameters()]
    assert sum(len(parameter) for parameter in parameters) == 2 * sum(widths[1:])
