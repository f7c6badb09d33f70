"""Test decoders that read prompts and write on, drawn at random: predicted == counted, and bytes of the cache."""

import re
from fractions import Fraction
from itertools import product

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.measure import FlopCount
from flopbook.predict import S, T, axis, evaluate
from flopbook.predict.inference import (
    block_inference,
    decoder_inference,
    ends_inference,
    part_inference,
    read_in_chunks,
)
from flopbook.predict.models import latent_piece
from flopbook.predict.models.masks import CAUSAL, in_window
from flopbook.predict.speculation import expected_tokens
from flopbook.specimens.in_torch.cached import CachedDecoder, cache_bytes
from flopbook.specimens.in_torch.layers import LatentAttention
from flopbook.tracing import trace

few = settings(max_examples=8)
small = st.integers(1, 5)
DENSE, NEEDED, EVERY = decoder_inference(pairs=T**2), decoder_inference(), decoder_inference(outputs=T)


@st.composite
def decoders(draw):
    """Draw sizes where H heads of queries share from one to H heads of keys, and E is not D / H."""
    heads = {"G": draw(st.integers(1, 3))}
    heads["H"] = heads["G"] * draw(st.integers(1, 3))
    return {letter: draw(small) for letter in "BDEFVL"} | heads | {"matrices": draw(st.sampled_from([2, 3]))}


def build(sizes, **more):
    """Build a model, and a function that makes tokens, which knows nothing of the formulas but their letters."""
    model = CachedDecoder(**{name: size for name, size in sizes.items() if name != "B"}, **more)
    return model, lambda length: torch.zeros(sizes["B"], length, dtype=torch.long)


def count(model, *given, **ways):
    """Count one pass, and return the cache that it leaves."""
    with torch.no_grad(), FlopCount() as counted:
        _, cache = model(*given, **ways)
    assert not counted.uncounted
    return counted, cache


@few
@given(decoders(), st.integers(1, 6), st.integers(1, 3), st.sampled_from([torch.float32, torch.bfloat16]))
def test_prefill_each_token_and_the_bytes_of_the_cache(sizes, prompt, written, dtype):
    model, tokens = build(sizes)
    at = sizes | {"T": prompt, "tables": 2}
    counted, cache = count(model.to(dtype), tokens(prompt))
    assert counted.total == evaluate(DENSE.prefill, at)
    assert counted.needed == evaluate(NEEDED.prefill, at)
    total = counted.needed
    for length in range(prompt + 1, prompt + written + 1):
        counted, cache = count(model, tokens(1), cache)
        assert counted.total == counted.needed == evaluate(NEEDED.decode, at | {"S": length})
        assert cache_bytes(cache) == dtype.itemsize * evaluate(NEEDED.cache, at | {"S": length})
        total += counted.needed
    assert total == evaluate(NEEDED.generate(written + 1), at)
    assert evaluate(NEEDED.parameters, at) == sum(parameter.numel() for parameter in model.parameters())


@few
@given(decoders(), st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=3), st.integers(1, 6), small)
def test_layers_with_windows_keep_and_meet_no_more_than_the_window(sizes, windows, prompt, new):
    model, tokens = build(sizes | {"L": len(windows)}, windows=windows)
    stack = ends_inference()
    for width in windows:
        stack += block_inference(CAUSAL if width is None else in_window(axis("W")).at({axis("W"): width}))
    at = sizes | {"T": prompt, "tables": 2}
    counted, cache = count(model, tokens(prompt))
    assert counted.needed == evaluate(stack.prefill, at)
    assert cache_bytes(cache) == 4 * evaluate(stack.cache, at | {"S": prompt})
    counted, _ = count(model, tokens(1), cache)
    assert counted.total == evaluate(stack.decode, at | {"S": prompt + 1})
    counted, cache = count(model, tokens(new), cache, every=True)  # several at once, as to check guesses
    assert counted.needed == evaluate(stack.extend(new), at | {"S": prompt + new})
    assert cache_bytes(cache) == 4 * evaluate(stack.cache, at | {"S": prompt + new})


@few
@given(decoders(), st.integers(1, 9), st.integers(1, 9))
def test_a_prompt_in_chunks_runs_less_than_dense_and_needs_as_much(sizes, prompt, size):
    model, tokens = build(sizes)
    total, cache = 0, None
    for chunk in tokens(prompt).split(size, dim=1):
        counted, cache = count(model, chunk, cache, every=True)
        total += counted.total
    in_chunks = decoder_inference(pairs=read_in_chunks(T, axis("M")), outputs=T)
    at = sizes | {"T": prompt, "M": size, "S": prompt}
    assert total == evaluate(in_chunks.prefill, at)
    assert evaluate(EVERY.prefill, at) == evaluate(EVERY.one_by_one, at) <= total
    assert total <= evaluate(decoder_inference(pairs=T**2, outputs=T).prefill, at)


@few
@given(decoders(), st.sampled_from(["G", "matrices", "S", "T", "V"]))
def test_a_formula_with_another_size_disagrees(sizes, letter):
    sizes |= {"G": sizes["H"]}
    model, tokens = build(sizes)
    read, cache = count(model, tokens(4))
    written, _ = count(model, tokens(1), cache)
    at = sizes | {"T": 4, "S": 5, "tables": 2}
    at[letter] = 5 - at[letter] if letter == "matrices" else at[letter] + 1
    if letter in "GTV":
        assert read.total != evaluate(DENSE.prefill, at)
    if letter != "T":
        assert written.total != evaluate(NEEDED.decode, at)


@few
@given(st.tuples(*[small] * 9), st.integers(1, 9))
def test_latents_that_queries_meet_themselves(sizes, length):
    B, D, H, E, J, C, Q, half, _ = sizes
    R = 2 * half
    with torch.no_grad():
        layer = LatentAttention(1, D, H, E, R, J, C, Q, absorbed=True)
        x = torch.empty(B, 1, D)
        q = torch.empty(B, H, 1, E), torch.empty(B, H, 1, R)
        cache = torch.empty(B, length, C), torch.empty(B, length, R)
        with FlopCount() as counted:
            layer.query_up(layer.query_down(x)), layer.down(x)
            layer.join(layer.from_latents(*q, *cache).transpose(1, 2).flatten(2))
    absorbed = latent_piece(absorbed=True).forward
    latents = part_inference(latent_piece(), kept=axis("C") + axis("R"), alone=absorbed)
    at = dict(B=B, D=D, H=H, E=E, R=R, J=J, C=C, Q=Q, S=length)
    assert counted.total == evaluate(latents.decode, at)
    assert sum(each.numel() for each in cache) == evaluate(latents.cache, at)
    assert evaluate(latents.one_by_one, at) == sum(evaluate(latents.decode, at | {"S": s + 1}) for s in range(length))


def test_what_is_written_is_the_same_with_a_cache_and_without():
    torch.manual_seed(0)
    model = CachedDecoder(D=8, H=4, G=2, E=4, F=12, V=20, L=3, windows=[None, 3, 1]).double()
    text = torch.randint(20, (2, 9))
    whole, _ = model(text, every=True)
    _, cache = model(text[:, :4])
    for place in range(4, 9):
        logits, cache = model(text[:, place : place + 1], cache)
        torch.testing.assert_close(logits[:, 0], whole[:, place])


def test_a_model_that_reads_on_writes_the_formula_itself():
    def inputs(B, S):
        return torch.zeros(B, 1, dtype=torch.long), [(torch.zeros(B, 2, S, 5),) * 2]

    traced = trace(lambda D, F, V: CachedDecoder(D, 6, 2, 5, F, V, 1), inputs, sizes=dict(B=2, S=7, D=12, F=11, V=13))
    predicted = NEEDED.at(L=1, H=6, G=2, E=5, matrices=3, S=S + 1)
    for sizes in (dict(B=2, S=7, D=12, F=11, V=13), dict(B=3, S=17, D=4, F=5, V=6)):
        assert evaluate(traced.forward, sizes) == evaluate(predicted.decode, sizes)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(G=3), "H=4 heads cannot share G=3"),
        (dict(G=0), "G=0 is not a size"),
        (dict(D=8.5), "D=8.5 is not a size"),
        (dict(matrices=5), "matrices=5 make no feed-forward part"),
        (dict(windows=[3]), "windows=[3] are not those of L=2 layers"),
        (dict(windows=[0, None]), "window=0 is not a size"),
    ],
)
def test_a_model_that_cannot_be_is_refused(changed, said):
    with pytest.raises(ValueError, match=re.escape(said)):
        CachedDecoder(**dict(D=8, H=4, G=2, E=4, F=12, V=20, L=2) | changed)


@few
@given(st.integers(1, 5), st.integers(2, 5), st.integers(0, 3))
def test_guesses_are_kept_as_often_as_expected(good, words, guesses):
    """Guesses are drawn from all words alike, and the large model writes each of the first so many alike."""
    good = min(good, words)
    written = 0
    for drawn in product(range(words), repeat=guesses):
        kept = next((place for place, word in enumerate(drawn) if word >= good), guesses)
        written += kept + 1
    assert Fraction(written, words**guesses) == expected_tokens(Fraction(good, words), guesses)
