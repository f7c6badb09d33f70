"""Test the picture of a scan in chunks."""

import pytest

from flopbook.drawing import scan_in_chunks
from flopbook.predict import evaluate, flops
from flopbook.predict.models import chunk_sizes, chunked_scan

TOKENS, STATES = 7, [(3, 5), (8, 2)]


def test_every_state_has_the_flops_of_the_formula_and_its_parts_add_up(states):
    for state, frame in states(scan_in_chunks(TOKENS, STATES)):
        N, P = map(int, state["state"].split(" × "))
        products = flops(chunked_scan().forward).subs(chunk_sizes(TOKENS, state["Q"]))
        (_, within), (_, states_), (_, pointwise), (_, total), (_, by_tokens) = (row for row in frame.table.rows)
        assert within + states_ == evaluate(products, dict(B=1, T=TOKENS, G=1, H=1, N=N, P=P))
        assert pointwise == -(-TOKENS // state["Q"]) * N * P + TOKENS * P
        assert total == within + states_ + pointwise
        assert by_tokens == 4 * TOKENS * N * P
        assert f"{total:,} FLOPs" in frame.sentence


def test_there_are_as_many_states_and_blocks_as_chunks(states):
    for state, frame in states(scan_in_chunks(TOKENS, STATES)):
        chunks = -(-TOKENS // state["Q"])
        assert sum("left-out" in shape for shape in frame.shapes) == chunks
        assert frame.sentence.startswith(f"{chunks} chunk")


def test_the_sentence_says_where_the_flops_are_fewest():
    """With 64 x 64 numbers, 4 tokens a chunk: the square root of NP / 2(N + P)."""
    picture = scan_in_chunks()
    fewest = [Q for Q in range(1, 17) if "No other Q" in picture.frame(Q=Q, state="64 × 64").sentence]
    assert fewest == [4]


def test_it_opens_with_a_question():
    assert scan_in_chunks().frame().sentence.endswith("Which Q takes fewest FLOPs?")


@pytest.mark.parametrize("tokens", [1, 33, 2.5])
def test_what_cannot_be_drawn_is_refused(tokens):
    with pytest.raises(ValueError, match=f"tokens={tokens} cannot be drawn"):
        scan_in_chunks(tokens)
