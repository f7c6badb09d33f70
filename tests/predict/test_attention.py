"""Test how many pairs of a query and a key each mask leaves, against masks written out."""

import numpy
import pytest

from flopbook.predict import S, T, axis, evaluate, flops, matmul
from flopbook.predict.models import (
    KEPT_FOR_A_TOKEN,
    around,
    causal,
    chunks,
    documents,
    latent_attention,
    latent_piece,
    window,
)

LENGTHS = (1, 2, 3, 7, 12)


def lower(length, width=None):
    """Write a causal mask out, or that of a window."""
    causal_mask = numpy.tril(numpy.ones((length, length), dtype=int))
    return causal_mask if width is None else numpy.triu(causal_mask, 1 - width)


@pytest.mark.parametrize("length", LENGTHS)
def test_causal_pairs_are_those_of_a_lower_triangle(length):
    assert causal(length) == evaluate(causal(T), dict(T=length)) == int(lower(length).sum())


@pytest.mark.parametrize("width", [1, 2, 5, 12, 50])
@pytest.mark.parametrize("length", LENGTHS)
def test_pairs_of_a_window_are_those_of_a_band(length, width):
    band = int(lower(length, width).sum())
    assert window(length, width) == evaluate(window(T, axis("W")), dict(T=length, W=width)) == band


@pytest.mark.parametrize("size", [1, 3, 4, 12, 50])
@pytest.mark.parametrize("length", LENGTHS)
def test_pairs_of_chunks_are_those_of_tokens_of_one_chunk(length, size):
    chunk = numpy.arange(length) // size
    left = int((lower(length) * (chunk[:, None] == chunk)).sum())
    assert chunks(length, size) == evaluate(chunks(T, axis("M")), dict(T=length, M=size)) == left


@pytest.mark.parametrize("lengths", [[5], [1, 2, 4], [3, 0, 3]])
def test_pairs_of_documents_are_those_of_blocks_on_the_diagonal(lengths):
    document = numpy.repeat(range(len(lengths)), lengths)
    assert documents(lengths) == int((lower(sum(lengths)) * (document[:, None] == document)).sum())
    assert documents(lengths, lambda length: length * length) == sum(length**2 for length in lengths)


@pytest.mark.parametrize(("asking", "keys"), [(1, 7), (3, 7), (7, 7)])
def test_the_last_queries_are_a_difference_of_two_triangles(asking, keys):
    assert causal(keys) - causal(keys - asking) == int(lower(keys)[-asking:].sum())


@pytest.mark.parametrize("reach", [1, 2, 5, 12, 50])
@pytest.mark.parametrize("length", LENGTHS)
def test_pairs_around_each_token_are_those_of_a_band_to_both_sides(length, reach):
    band = int((lower(length, reach + 1) | lower(length, reach + 1).T).sum())
    assert around(length, reach) == evaluate(around(T, axis("R")), dict(T=length, R=reach)) == band
    assert around(length, 0) == length


def test_a_window_no_shorter_than_the_sequence_is_causal():
    assert (window(T, T) - causal(T)).expand() == 0
    assert (window(T, T + 1) - causal(T)).expand() == 0


def test_the_mean_in_place_of_the_keys_gives_the_flops_of_the_pairs():
    scores = matmul("q[B,T,H,E] @ k[B,S,H,E] -> s[B,H,T,S]").flops
    sizes = dict(B=2, T=5, H=3, E=7)
    assert evaluate(scores.subs(S, causal(T) / T), sizes) == 2 * 2 * 3 * 7 * 15


@pytest.mark.parametrize(
    ("ask", "error", "message"),
    [
        (lambda: causal("T"), TypeError, "length='T' is not an amount"),
        (lambda: causal(-1), ValueError, "length=-1 is not a size"),
        (lambda: window(5, 0), ValueError, "width=0 is not a size: write a whole number of at least 1"),
        (lambda: chunks(5, 0), ValueError, "size=0 is not a size: write a whole number of at least 1"),
        (lambda: documents(5), TypeError, r"lengths=5 are not the lengths of documents: write documents\(\[2, 3\]\)"),
        (lambda: documents("23"), TypeError, "lengths='23' are not the lengths"),
        (lambda: documents([2], 3), TypeError, "3 cannot be called"),
        (lambda: latent_attention("yes"), TypeError, "absorbed='yes' is neither True nor False"),
        (lambda: latent_attention(latent_queries=1), TypeError, "latent_queries=1 is neither True nor False"),
    ],
)
def test_what_cannot_be_counted_is_quoted(ask, error, message):
    with pytest.raises(error, match=message):
        ask()


def test_backward_of_latents_is_twice_forward():
    for absorbed in (False, True):
        step = latent_attention(absorbed)
        assert (flops(step.backward) - 2 * flops(step.forward)).expand() == 0


def test_what_deepseek_v2_keeps_of_a_token():
    """Section 2.1.4 of its paper: 4.5 times the 128 numbers of a head, as little as 2.25 grouped heads."""
    sizes = dict(C=512, R=64, E=128, G=1, H=128)
    kept = {kind: evaluate(numbers, sizes) for kind, numbers in KEPT_FOR_A_TOKEN.items()}
    assert kept == {"heads": 32_768, "grouped heads": 256, "one shared head": 256, "latents": 576}
    assert kept["latents"] == 2.25 * kept["grouped heads"] == 4.5 * 128


def test_of_both_parts_of_scores_a_fused_attention_keeps_one_number_for_each_query():
    sizes = dict(B=2, T=3, D=5, H=7, E=11, R=13, J=17, C=19, Q=23)
    queries, keys, values = 23 + 7 * 11 + 7 * 13, 19 + 7 * 11 + 13, 7 * 17  # with the latents that they are made of
    assert evaluate(latent_piece().results, sizes) == 2 * 3 * (queries + keys + values + 7 * 17 + 5 + 7)


@pytest.mark.parametrize("absorbed", [False, True])
def test_queries_without_a_latent_come_from_the_input(absorbed):
    with_latent, without = (latent_piece(absorbed, latent_queries) for latent_queries in (True, False))
    made = dict(D=7, H=3, E=4, R=2, J=5, C=6, Q=8)
    assert evaluate(with_latent.parameters - without.parameters, made) == 7 * 8 + 8 * 3 * (4 + 2) - 7 * 3 * (4 + 2)
    assert without.backward == 2 * without.forward.expand()
