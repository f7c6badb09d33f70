"""Test what reading and writing take, where no model has to be run."""

from fractions import Fraction

import pytest
import sympy

from flopbook.predict import B, S, T, axis, evaluate
from flopbook.predict.inference import decoder_inference, ends_inference, part_inference, read_in_chunks
from flopbook.predict.models import attention_part, in_chunks, in_window

n = axis("n")
DECODER = decoder_inference(pairs=T**2)
SIZES = dict(B=3, L=2, D=5, H=6, G=2, E=4, F=7, V=11, matrices=3, tables=2)


def test_a_generation_is_the_sum_of_its_tokens():
    tokens = sympy.Sum(DECODER.decode, (S, T + 1, T + n - 1)).doit()
    assert sympy.expand(DECODER.generate(n) - DECODER.prefill - tokens) == 0
    assert DECODER.generate(1) == sympy.expand(DECODER.prefill)


@pytest.mark.parametrize("mask", [in_window(axis("W")), in_chunks(axis("W"))], ids=["window", "chunks"])
def test_tokens_one_by_one_add_up_under_every_mask(mask):
    part = part_inference(attention_part(), mask)
    for length in (1, 4, 5, 13):
        each = (evaluate(part.decode, SIZES | dict(W=4, S=place + 1)) for place in range(length))
        assert sum(each) == evaluate(part.one_by_one, SIZES | dict(W=4, S=length))


def test_grouped_heads_save_cache_and_the_products_that_fill_it():
    shared, own = (DECODER.at(**{"G": heads, "H": 6}) for heads in (2, 6))
    assert own.cache == 3 * shared.cache
    difference = sympy.expand(own.decode - shared.decode)
    assert S not in difference.free_symbols and difference != 0


def test_a_state_is_kept_beside_keys_and_values_however_many_tokens_there_are():
    part = part_inference(attention_part(), kept=5, state=7)
    assert sympy.expand(part.cache - B * (5 * S + 7)) == 0


def test_a_token_reads_a_table_of_the_vocabulary_only_where_it_makes_logits_of_it():
    sizes = dict(D=5, V=11)
    held = [evaluate(ends_inference().parameters, sizes | dict(tables=tables)) for tables in (1, 2)]
    read = [evaluate(ends_inference().read, sizes | dict(tables=tables)) for tables in (1, 2)]
    assert (held[1] - held[0], read) == (5 * 11, [held[0], held[0]])


def test_what_a_step_moves():
    read, cache = evaluate(DECODER.read, SIZES), evaluate(DECODER.cache, SIZES | dict(S=9))
    assert evaluate(DECODER.moved(), SIZES | dict(S=9)) == 2 * (read + cache)
    in_four_bits = DECODER.moved(weight_bytes=Fraction(1, 2), cache_bytes=1)
    assert evaluate(in_four_bits, SIZES | dict(S=9)) == Fraction(read, 2) + cache
    in_letters = DECODER.moved(weight_bytes=axis("P"), cache_bytes=axis("Q"))
    assert evaluate(in_letters, SIZES | dict(S=9, P=3, Q=5)) == 3 * read + 5 * cache
    assert evaluate(DECODER.intensity(), SIZES | dict(S=9)) == Fraction(
        evaluate(DECODER.decode, SIZES | dict(S=9)), 2 * (read + cache)
    )
    assert sympy.limit(DECODER.intensity(), B, sympy.oo).has(S)


@pytest.mark.parametrize(("memory", "fits"), [(10**9, True), (100, False)])
def test_as_many_sequences_fit_as_the_memory_holds(memory, fits):
    batch = evaluate(DECODER.largest_batch(memory), SIZES | dict(S=9))
    weights, one = 2 * evaluate(DECODER.parameters, SIZES), 2 * evaluate(DECODER.cache, SIZES | dict(B=1, S=9))
    assert batch == (0 if not fits else (memory - weights) // one)
    assert not fits or weights + batch * one <= memory < weights + (batch + 1) * one


def test_chunks_lie_between_causal_and_dense():
    M = axis("M")
    assert [evaluate(read_in_chunks(T, M), dict(T=10, M=size)) for size in (1, 2, 3, 5, 10, 11)] == [
        55, 60, 3 * 3 + 3 * 6 + 3 * 9 + 10, 75, 100, 100,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("wrong", "error", "says"),
    [
        (lambda: decoder_inference("causal"), TypeError, "mask='causal' is not a mask: write CAUSAL"),
        (lambda: decoder_inference(outputs=0), ValueError, "outputs=0 is not a size"),
        (lambda: decoder_inference(pairs=-1), ValueError, "pairs=-1 is not a size"),
        (lambda: part_inference("attention"), TypeError, "'attention' is not a model"),
        (lambda: part_inference(attention_part(), kept=-2), ValueError, "kept=-2 is not a size"),
        (lambda: DECODER.generate(0), ValueError, "tokens=0 is not a size"),
        (lambda: DECODER.extend(-1), ValueError, "tokens=-1 is not a size"),
        (lambda: DECODER.moved("int8"), TypeError, "weight_bytes='int8' is not a size: write 2, or Fraction"),
        (lambda: DECODER.moved(2, 0), ValueError, "cache_bytes=0 is out of range: write a positive number"),
        (lambda: DECODER.largest_batch(-5), ValueError, "memory_bytes=-5 is not a size"),
        (lambda: read_in_chunks(8, 0), ValueError, "size=0 is not a size"),
    ],
)
def test_what_cannot_be_is_refused(wrong, error, says):
    with pytest.raises(error) as raised:
        wrong()
    assert str(raised.value).startswith(says)
