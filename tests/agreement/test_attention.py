"""Test attention drawn at random, dense and needed, and attention from latents: predicted == counted == traced."""

from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention

from flopbook.measure import FlopCount
from flopbook.measure.memory import weigh
from flopbook.measure.operators import CONTRACTIONS
from flopbook.predict import E, H, S, T, axis, evaluate, flops, matmul, training_step
from flopbook.predict.models import causal, chunks, documents, latent_attention, latent_part, window
from flopbook.specimens.in_torch.layers import Attention as Layer
from flopbook.specimens.in_torch.layers import LatentAttention
from flopbook.tracing import trace

SCORES = matmul("q[B,T,H,E] @ ks[B,S,H,E] -> s[B,H,T,S]")
MIX = matmul("p[B,H,T,S] @ vs[B,S,H,E] -> o[B,T,H,E]")
STEP = training_step(SCORES, MIX)
AGAIN = SCORES.flops  # what a fused kernel computes again on its way back


@dataclass(frozen=True)
class Attention:
    """Holds sizes, a kind of mask with its numbers, how it is written, and the numbers' format."""

    batch: int
    queries: int
    keys: int
    groups: int
    shared: int
    width: int
    mask: str
    lengths: tuple[int, ...]
    near: int
    additive: bool
    dtype: torch.dtype

    @property
    def heads(self):
        return self.groups * self.shared

    @property
    def sizes(self):
        return dict(B=self.batch, T=self.queries, S=self.keys, H=self.heads, E=self.width)

    @property
    def pairs(self):
        """Predict the pairs of one head that the mask leaves."""
        return PAIRS[self.mask](self)

    def count(self, backend=SDPBackend.FLASH_ATTENTION):
        """Count a step, which knows nothing of the prediction but the sizes and what the mask allows."""
        q = torch.ones(self.batch, self.heads, self.queries, self.width, dtype=self.dtype, requires_grad=True)
        shape = self.batch, self.groups, self.keys, self.width
        k, v = (torch.ones(shape, dtype=self.dtype, requires_grad=True) for _ in "kv")
        with sdpa_kernel(backend), FlopCount() as counted:
            y = scaled_dot_product_attention(q, k, v, enable_gqa=self.shared > 1, **self._options())
            y.sum().backward()
        assert not counted.uncounted
        return counted

    def _options(self):
        if self.mask in {"none", "first", "causal"}:
            return {"is_causal": self.mask != "none"}
        place = torch.arange(self.keys)
        before = place[self.keys - self.queries :, None] - place
        allowed = before >= 0 if self.mask != "whole" else torch.ones_like(before, dtype=torch.bool)
        if self.mask in {"window", "windows"}:
            allowed &= before < self.near
        if self.mask == "chunks":
            allowed &= place[:, None] // self.near == place // self.near
        if self.mask in {"documents", "windows", "whole"}:
            document = torch.repeat_interleave(torch.arange(len(self.lengths)), torch.tensor(self.lengths))
            allowed &= document[:, None] == document
        if self.additive:
            allowed = torch.zeros(allowed.shape, dtype=self.dtype).masked_fill(~allowed, -torch.inf)
        return {"attn_mask": allowed}


PAIRS = {
    "none": lambda drawn: drawn.queries * drawn.keys,
    "first": lambda drawn: window(drawn.queries, drawn.keys),
    "last": lambda drawn: causal(drawn.keys) - causal(drawn.keys - drawn.queries),
    "causal": lambda drawn: causal(drawn.queries),
    "window": lambda drawn: window(drawn.queries, drawn.near),
    "chunks": lambda drawn: chunks(drawn.queries, drawn.near),
    "documents": lambda drawn: documents(drawn.lengths),
    "windows": lambda drawn: documents(drawn.lengths, lambda length: window(length, drawn.near)),
    "whole": lambda drawn: documents(drawn.lengths, lambda length: length**2),
}
SIZE = st.integers(1, 9)


@st.composite
def attentions(draw):
    mask, lengths = draw(st.sampled_from(list(PAIRS))), tuple(draw(st.lists(st.integers(1, 6), min_size=1, max_size=3)))
    queries, keys = draw(SIZE), draw(SIZE)
    if mask in {"documents", "windows", "whole"}:
        queries = sum(lengths)
    if mask not in {"none", "first"}:
        keys = queries + (draw(st.integers(0, 5)) if mask == "last" else 0)
    return Attention(
        batch=draw(st.integers(1, 3)),
        queries=queries,
        keys=keys,
        groups=draw(st.integers(1, 3)),
        shared=draw(st.integers(1, 3)),
        width=draw(SIZE),
        mask=mask,
        lengths=lengths,
        near=draw(st.integers(1, 12)),
        additive=draw(st.booleans()),
        dtype=draw(st.sampled_from([torch.float32, torch.float64, torch.bfloat16])),
    )


@given(attention=attentions())
@settings(max_examples=30)
def test_dense_and_needed_are_predicted(attention):
    counted, sizes = attention.count(), attention.sizes
    forward, backward = (evaluate(flops(part), sizes) for part in (STEP.forward, STEP.backward))
    assert (counted.forward, counted.backward) == (forward, backward + evaluate(AGAIN, sizes))
    met = flops(STEP) + AGAIN
    assert counted.needed == evaluate(met.subs(S, attention.pairs / T), sizes)


@given(attention=attentions())
@settings(max_examples=12)
def test_unfused_there_are_four_products_backward(attention):
    counted = attention.count(SDPBackend.MATH)
    assert (counted.forward, counted.backward) == (
        evaluate(flops(STEP.forward), attention.sizes),
        evaluate(flops(STEP.backward), attention.sizes),
    )


@given(attention=attentions())
@settings(max_examples=12)
def test_another_mask_needs_something_else(attention):
    assume(attention.mask not in {"none", "whole"} and attention.pairs < attention.queries * attention.keys)
    wrong = replace(attention, mask="none")
    met = flops(STEP) + AGAIN
    assert attention.count().needed != evaluate(met.subs(S, wrong.pairs / T), attention.sizes)


@pytest.mark.parametrize("mask", ["first", "causal", "window", "documents"])
def test_half_precision_counts_alike(mask):
    attention = Attention(2, 7, 7, 2, 3, 5, mask, (3, 4), 3, False, torch.float16)
    assert attention.count().total == replace(attention, dtype=torch.float32).count().total


def test_flex_attention_runs_seven_products_backward():
    """The compiled kernel makes scores and the gradient of the weights twice; no kernel does so on a CPU."""
    q, k = torch.empty(2, 6, 7, 5, device="meta"), torch.empty(2, 6, 9, 5, device="meta")
    products = CONTRACTIONS["higher_order::flex_attention_backward"]
    one = evaluate(SCORES.flops, dict(B=2, H=6, T=7, S=9, E=5))
    assert products(None, q, k, k) == 7 * one
    template = Path(torch.__file__).parent / "_inductor/kernel/flex/templates/flex_backwards.py.jinja"
    if template.exists():  # it stands elsewhere in other versions of PyTorch
        assert template.read_text("utf-8").count("tl.dot(") == 7


@given(
    sizes=st.fixed_dictionaries({letter: st.integers(1, 7) for letter in "BTDHEJCQ"} | {"R": st.sampled_from([2, 4])}),
    absorbed=st.booleans(),
)
@settings(max_examples=12)
def test_attention_from_latents_is_predicted(sizes, absorbed):
    B, *others = (sizes[letter] for letter in "BTDHERJCQ")
    with torch.device("meta"), FlopCount() as counted:
        x = torch.empty(B, sizes["T"], sizes["D"], requires_grad=True)
        LatentAttention(*others, absorbed=absorbed)(x).sum().backward()
    step, sizes = latent_attention(absorbed), {"S": sizes["T"], **sizes}
    assert (counted.forward, counted.backward) == tuple(
        evaluate(flops(part), sizes) for part in (step.forward, step.backward)
    )
    assert counted.total != evaluate(flops(latent_attention(not absorbed)), sizes | dict(C=sizes["C"] + 8))


def test_both_ways_from_latents_give_the_same_numbers():
    torch.manual_seed(0)
    made = LatentAttention(7, 10, 3, 4, 2, 5, 6, 8)
    absorbed = LatentAttention(7, 10, 3, 4, 2, 5, 6, 8, absorbed=True)
    absorbed.load_state_dict(made.state_dict())
    x = torch.randn(2, 7, 10)
    torch.testing.assert_close(made(x), absorbed(x))


class LatentPart(nn.Module):
    """Runs a norm and attention from latents, a layer for each matrix, without the turning by places."""

    def __init__(self, D, H, E, R, J, C, Q):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.H = H
        self.norm, self.norm_q, self.norm_c = (nn.LayerNorm(size, bias=False) for size in (D, Q, C))
        shapes = (D, Q), (Q, H * E), (Q, H * R), (D, C), (D, R), (C, H * E), (C, H * J), (H * J, D)
        self.layers = nn.ModuleList(nn.Linear(*shape, bias=False) for shape in shapes)

    def forward(self, x):
        down_q, up_q, place_q, down, place, up_k, up_v, join = self.layers
        n = self.norm(x)
        n_q, n_c = self.norm_q(down_q(n)), self.norm_c(down(n))
        q, q_place, k, v = (
            layer(of).unflatten(-1, (self.H, -1))
            for layer, of in ((up_q, n_q), (place_q, n_q), (up_k, n_c), (up_v, n_c))
        )
        k_place = place(n)[:, :, None].expand(-1, -1, self.H, -1)
        q, k = torch.cat((q, q_place), dim=-1), torch.cat((k, k_place), dim=-1)
        o = scaled_dot_product_attention(*(heads.transpose(1, 2) for heads in (q, k, v)), is_causal=True)
        return x + join(o.transpose(1, 2).flatten(2))


@given(sizes=st.fixed_dictionaries({letter: st.integers(1, 7) for letter in "BTDHECQR"}))
@settings(max_examples=12)
def test_a_part_of_a_block_from_latents(sizes):
    """Values are as wide as keys here, so that attention runs fused."""
    sizes |= {"J": sizes["E"] + sizes["R"]}
    model = LatentPart(*(sizes[letter] for letter in "DHERJCQ"))
    x = torch.ones(sizes["B"], sizes["T"], sizes["D"], requires_grad=True)

    def step():
        model(x).sum().backward()

    with FlopCount() as counted:
        step()
    model.zero_grad()
    part, dense = latent_part(), latent_part().at(S=T)
    assert evaluate(part.parameters, sizes) == sum(parameter.numel() for parameter in model.parameters())
    assert part.tensors == len(list(model.parameters()))
    again = 2 * sizes["B"] * sizes["H"] * sizes["T"] ** 2 * sizes["J"]
    assert (counted.forward, counted.backward) == (
        evaluate(dense.forward, sizes),
        evaluate(dense.backward, sizes) + again,
    )
    assert weigh(step, model, []).activations == 4 * evaluate(part.activations, sizes)


def sequences(B, T, D):
    return torch.empty(B, T, D)


def test_a_trace_of_grouped_heads_has_the_fifth_product():
    R = axis("R")
    traced = trace(
        lambda T, D, G, R, E: Layer(T, D, G, R, E, bias=False), sequences, dict(B=2, T=5, D=6, G=2, R=3, E=4)
    )
    whole = [matmul("x[B,T,D] @ w[D,P] -> qkv[B,T,P]"), SCORES, MIX, matmul("c[B,T,J] @ wj[J,D] -> y[B,T,D]")]
    heads = {S: T, H: R * axis("G"), axis("P"): (R + 2) * axis("G") * E, axis("J"): R * axis("G") * E}
    step = training_step(*whole, data="x")
    assert (traced.forward - flops(step.forward).subs(heads)).expand() == 0
    assert (traced.backward - (flops(step.backward) + AGAIN).subs(heads)).expand() == 0


def test_a_trace_of_latents_is_the_formula():
    fixed = dict(E=4, R=2, J=7, Q=9)

    def build(T, D, H, C):
        return LatentAttention(T, D, H, C=C, **fixed)

    traced = trace(build, sequences, dict(B=2, T=5, D=6, H=3, C=8))
    step = training_step(*latent_attention().forward, data="x")
    sizes = {S: T, **{axis(letter): size for letter, size in fixed.items()}}
    assert (traced.forward - flops(step.forward).subs(sizes)).expand() == 0
    assert (traced.backward - flops(step.backward).subs(sizes)).expand() == 0
