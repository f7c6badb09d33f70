"""Test decoders drawn at random: predicted == counted == traced, dense and as their masks leave it."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy import expand
from torch.nn.attention import SDPBackend, sdpa_kernel

from flopbook.measure import FlopCount
from flopbook.predict import H, S, T, evaluate
from flopbook.predict.models import (
    attention_part,
    causal,
    decoder,
    decoder_block,
    embedding,
    feed_forward_part,
    output_layer,
    tables,
    window,
)
from flopbook.tracing import trace
from tests.support.decoder import Decoder

sizes = st.integers(1, 7)
windows = st.lists(st.none() | st.integers(1, 9), min_size=1, max_size=3)  # longer than the sequence, too
DENSE, CAUSAL = decoder(), decoder(keys=causal(T) / T)
FORMATS = torch.float32, torch.float64, torch.bfloat16


@st.composite
def decoders(draw):
    """Draw sizes where H heads of queries share from one to H heads of keys, and E is not D / H."""
    heads = {"G": draw(st.integers(1, 4))}
    heads["H"] = heads["G"] * draw(st.integers(1, 3))
    forms = {"matrices": draw(st.sampled_from([2, 3])), "tables": draw(st.sampled_from([1, 2]))}
    return {letter: draw(sizes) for letter in "BTDEFV"} | heads | forms


def counted(sizes, windows, dtype=torch.float32, device="cpu"):
    """Count a step, and the parameters."""
    built = {name: size for name, size in sizes.items() if name not in "BT"}
    with torch.device(device):
        model = Decoder(**built, L=len(windows), windows=windows).to(dtype)
        tokens = torch.zeros(sizes["B"], sizes["T"], dtype=torch.long)
    with FlopCount() as count:
        model(tokens).sum().backward()
    return count, sum(parameter.numel() for parameter in model.parameters())


def scores(sizes, keys):
    """Return the FLOPs of the scores of one layer, which a fused kernel computes twice."""
    return evaluate(decoder_block().forward[3].flops.subs(S, keys), sizes)


@settings(max_examples=12)
@given(decoders(), st.integers(1, 3), st.sampled_from(FORMATS))
def test_a_decoder_is_counted_dense(sizes, layers, dtype):
    count, parameters = counted(sizes, layers * [None], dtype)
    sizes |= {"L": layers}
    assert parameters == evaluate(DENSE.parameters, sizes)
    assert count.forward == evaluate(DENSE.forward, sizes)
    assert count.model_flops == evaluate(DENSE.forward + DENSE.backward, sizes)
    assert count.total - count.model_flops == layers * scores(sizes, sizes["T"])


@settings(max_examples=12)
@given(decoders(), st.integers(1, 3))
def test_a_causal_decoder_needs_half_of_the_pairs_and_half_of_the_diagonal(sizes, layers):
    count, _ = counted(sizes, layers * [None])
    sizes |= {"L": layers}
    again = layers * scores(sizes, causal(T) / T)
    assert count.needed == evaluate(CAUSAL.forward + CAUSAL.backward, sizes) + again
    assert count.masked["forward"] == count.forward - evaluate(CAUSAL.forward, sizes)


@settings(max_examples=12)
@given(decoders(), windows)
def test_a_decoder_of_several_windows_is_the_sum_of_its_layers(sizes, windows):
    keys = [(causal(T) if width is None else window(T, width)) / T for width in windows]
    predicted = output_layer() + tables * embedding()
    for mean in keys:
        predicted += attention_part().at(S=mean) + feed_forward_part()
    count, parameters = counted(sizes, windows)
    assert parameters == evaluate(predicted.parameters, sizes)
    again = sum(scores(sizes, mean) for mean in keys)
    assert count.needed == evaluate(predicted.forward + predicted.backward, sizes) + again
    assert count.masked["forward"] == count.forward - evaluate(predicted.forward, sizes)


def test_a_decoder_writes_the_formula_itself():
    def build(D, H, E, F, V, L):  # noqa: PLR0913, PLR0917  (sizes)
        return Decoder(D, H, H, E, F, V, L, matrices=3, tables=1)

    def tokens(B, T):
        return torch.zeros(B, T, dtype=torch.long)

    small = dict(B=2, T=5, D=12, H=3, E=7, F=11, V=13, L=2)
    with sdpa_kernel(SDPBackend.MATH):
        traced = trace(build, tokens, sizes=small)
    predicted = DENSE.at(G=H, matrices=3, tables=1)
    assert expand(traced.forward - predicted.forward) == expand(traced.backward - predicted.backward) == 0


@settings(max_examples=12)
@given(decoders(), st.sampled_from(["G", "matrices", "S", "T"]))
def test_a_decoder_with_another_size_disagrees(sizes, letter):
    sizes |= {"T": sizes["T"] + 1, "G": sizes["H"]}
    count, _ = counted(sizes, [None], device="meta")
    wrong = {
        "G": lambda: (DENSE, sizes | {"G": sizes["G"] + 1}),
        "matrices": lambda: (DENSE, sizes | {"matrices": 5 - sizes["matrices"]}),
        "S": lambda: (CAUSAL, sizes),
        "T": lambda: (DENSE, sizes | {"T": sizes["T"] + 1}),
    }
    model, at = wrong[letter]()
    assert evaluate(model.forward, at | {"L": 1}) != count.forward
