"""Test what a ring makes each rank send."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sympy import Rational, Symbol

from flopbook.collectives import COLLECTIVES, ring_bytes


@given(st.sampled_from(sorted(COLLECTIVES)), st.integers(0, 10**12), st.integers(2, 2048))
def test_a_formula_and_a_number_agree_but_for_padding(collective, payload, ranks):
    symbol = Symbol("n", positive=True)
    exact = Rational(ring_bytes(collective, Rational(payload), symbol).subs(symbol, ranks))
    assert 0 <= ring_bytes(collective, payload, ranks) - exact < 1


@given(st.integers(0, 10**9), st.integers(2, 64))
def test_an_all_reduce_is_a_reduce_scatter_and_an_all_gather(share, ranks):
    payload = share * ranks
    parts = [ring_bytes(each, payload, ranks) for each in ("reduce-scatter", "all-gather")]
    assert ring_bytes("all-reduce", payload, ranks) == sum(parts) == 2 * share * (ranks - 1)


@pytest.mark.parametrize("collective", COLLECTIVES)
def test_one_rank_alone_sends_nothing(collective):
    assert ring_bytes(collective, 2048, 1) == 0


def test_an_unknown_collective_is_quoted():
    with pytest.raises(ValueError, match="'allreduce'"):
        ring_bytes("allreduce", 1, 2)
