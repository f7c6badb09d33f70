"""Test how a sequence is cut into chunks, and what of a scan or a recurrent layer is refused or not needed."""

import pytest

from flopbook.predict import axis, evaluate
from flopbook.predict.models import chunk_sizes, chunked_scan, recurrent_layer

T, Q = axis("T"), axis("Q")


@pytest.mark.parametrize("tokens", [1, 2, 7, 12])
@pytest.mark.parametrize("chunk", [1, 2, 3, 4, 7, 13])
def test_chunks_are_what_splitting_gives(tokens, chunk):
    lengths = [len(range(tokens)[start : start + chunk]) for start in range(0, tokens, chunk)]
    sizes = chunk_sizes(tokens, chunk)
    assert sizes[axis("S")] * tokens == sum(length**2 for length in lengths)
    assert [sizes[axis(name)] for name in ("first", "later")] == [lengths[0], sum(lengths[1:])]
    assert [sizes[axis(name)] for name in ("last", "earlier")] == [lengths[-1], sum(lengths[:-1])]
    of_letters = chunk_sizes(T, Q)
    assert {letter: evaluate(size, dict(T=tokens, Q=chunk)) for letter, size in of_letters.items()} == sizes


def test_nobody_needs_the_gradients_of_the_first_state_and_of_what_makes_the_last():
    assert chunked_scan().backward == chunked_scan(data=("h0", "k_last", "v_last")).backward
    made = {product.output.name.removesuffix(".grad") for product in chunked_scan().backward}
    of_all = {product.output.name.removesuffix(".grad") for product in chunked_scan(data=()).backward}
    assert of_all - made == {"h0", "k_last", "v_last"}


@pytest.mark.parametrize(("tokens", "chunk"), [(0, 1), (5, 0), (5, -2)])
def test_a_sequence_or_chunk_without_tokens_is_refused(tokens, chunk):
    with pytest.raises(ValueError, match="is not a size: write a whole number of at least 1"):
        chunk_sizes(tokens, chunk)


def test_a_projection_is_there_or_not():
    with pytest.raises(TypeError, match="projected=3 is neither True nor False"):
        recurrent_layer(projected=3)
