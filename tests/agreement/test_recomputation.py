"""Test what transformer blocks keep and run again: predicted == weighed == counted, for sizes drawn at random."""

from functools import partial
from math import ceil

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.functional import dropout, gelu, scaled_dot_product_attention, silu
from torch.utils.checkpoint import (
    CheckpointPolicy,
    checkpoint,
    create_selective_checkpoint_contexts,
    set_checkpoint_early_stop,
)

from flopbook.measure import FlopCount
from flopbook.measure.memory import watch_memory, weigh
from flopbook.predict import H, evaluate
from flopbook.predict.models import attention_part, feed_forward_part
from flopbook.predict.recomputation import ON_CPU, Block, BlockFormats

FORMATS = {torch.bfloat16: ON_CPU, torch.float32: BlockFormats(4, 4, 4, 4), torch.float64: BlockFormats(8, 8, 8, 8)}


def one_byte(x, p):
    """Drop numbers as a GPU does, whose mask has a byte for each."""
    return torch.native_dropout(x, p, train=True)[0]


class Decoder(nn.Module):
    """Runs a block of a decoder; a checkpoint may be around attention without its weights."""

    def __init__(self, D, H, E, F, way, drop=None, around=None):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.H, self.fused, self.drop, self.around = H, way["fused"], drop or (lambda x, p: x), around
        self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.q, self.k, self.v = (nn.Linear(D, H * E) for _ in "qkv")
        self.out, self.up, self.down = nn.Linear(H * E, D), nn.Linear(D, F), nn.Linear(F, D)
        self.gate = nn.Linear(D, F) if way["gated"] else None

    def attend(self, q, k, v):
        if self.fused:
            return scaled_dot_product_attention(q, k, v)
        return self.drop((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1), 0.1) @ v

    def forward(self, x):
        n = self.norm1(x)
        heads = [linear(n).unflatten(-1, (self.H, -1)).transpose(1, 2) for linear in (self.q, self.k, self.v)]
        if not self.fused:
            heads = [each.contiguous() for each in heads]  # else the products copy them inside of a checkpoint
        o = self.around(self.attend, *heads) if self.around else self.attend(*heads)
        x = x + self.drop(self.out(o.transpose(1, 2).flatten(2)), 0.1)
        n = self.norm2(x)
        f = silu(self.gate(n)) * self.up(n) if self.gate else gelu(self.up(n))
        return x + self.drop(self.down(f), 0.1)


sizes = st.fixed_dictionaries({letter: st.integers(1, 7) for letter in "BTDHEF"})
ways = st.fixed_dictionaries({"fused": st.booleans(), "gated": st.booleans()})
FIXED = dict(B=2, T=5, D=12, H=3, E=4, F=48)
UNFUSED, FUSED = dict(fused=False, gated=False), dict(fused=True, gated=False)


def stack(sizes, layers, way, dtype=torch.bfloat16, drop=None, around=None, every=None):  # noqa: PLR0913, PLR0917
    """Make blocks, and a function that runs them, with checkpoints around each `every` of them."""
    built = {letter: size for letter, size in sizes.items() if letter not in "BT"}
    around_core = around if every is None else None
    blocks = nn.ModuleList(Decoder(**built, way=way, drop=drop, around=around_core) for _ in range(layers)).to(dtype)
    x = torch.randn(sizes["B"], sizes["T"], sizes["D"], dtype=dtype, requires_grad=True)

    def run():
        h = x
        for start in range(0, layers, every or layers):
            part = nn.Sequential(*blocks[start : start + (every or layers)])
            h = around(part, h) if every else part(h)
        return h.sum()

    return blocks, run


plain = partial(checkpoint, use_reentrant=False)
reentrant = partial(checkpoint, use_reentrant=True)


def measured(blocks, run):
    """Weigh a step, then count it."""
    memory = weigh(lambda: run().backward(), blocks, [])
    with FlopCount() as counted:
        run().backward()
    return [memory.after_forward, memory.activations, counted.recomputed]


def predicted(trade, sizes):
    return [evaluate(each, sizes) for each in trade]


@settings(max_examples=8)
@given(sizes, ways, st.sampled_from(list(FORMATS)), st.integers(1, 3))
def test_blocks_keep_what_was_predicted(sizes, way, dtype, layers):
    formats = FORMATS[dtype]
    block = Block(**way, formats=formats)
    assert measured(*stack(sizes, layers, way, dtype)) == predicted(block.keep_all(layers), sizes)


@settings(max_examples=6)
@given(sizes, st.booleans(), st.sampled_from([dropout, one_byte]))
def test_dropout_keeps_masks_of_the_format_of_the_device(sizes, gated, drop):
    way = dict(fused=False, gated=gated)
    block = Block(dropout=True, gated=gated, formats=ON_CPU if drop is dropout else BlockFormats(statistic=2))
    assert measured(*stack(sizes, 2, way, drop=drop)) == predicted(block.keep_all(2), sizes)


@settings(max_examples=7)
@given(sizes, ways, st.integers(1, 5), st.integers(1, 6), st.tuples(st.sampled_from([plain, reentrant]), st.booleans()))
def test_a_checkpoint_around_every_few_blocks(sizes, way, layers, every, around_and_drops):
    around, drops = around_and_drops
    drops = drops and not way["fused"]
    block = Block(**way, dropout=drops, formats=ON_CPU)
    trade = block.checkpoint_every(every, layers, early_stop=around is plain)
    found = measured(*stack(sizes, layers, way, drop=dropout if drops else None, around=around, every=every))
    assert found == predicted(trade, sizes)
    assert found[0] == ceil(layers / every) * 2 * sizes["B"] * sizes["T"] * sizes["D"]


@settings(max_examples=6)
@given(sizes, st.integers(1, 3), st.booleans(), st.booleans())
def test_a_checkpoint_around_attention_alone(sizes, layers, drops, early_stop):
    block = Block(dropout=drops, formats=ON_CPU)
    with set_checkpoint_early_stop(early_stop):
        found = measured(*stack(sizes, layers, UNFUSED, drop=dropout if drops else None, around=plain))
    assert found == predicted(block.recompute_squares(layers, early_stop), sizes)


def test_without_an_early_stop_all_runs_again():
    with set_checkpoint_early_stop(False):
        found = measured(*stack(FIXED, 3, UNFUSED, around=plain, every=2))
    trade = Block(formats=ON_CPU).checkpoint_every(2, 3, early_stop=False)
    assert found == predicted(trade, FIXED)
    assert found[2] == 3 * evaluate(Block().forward, FIXED)


def policy(context, operator, *args, **kwargs):
    kept = operator in (
        torch.ops.aten.addmm.default,
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default,
    )
    return CheckpointPolicy.MUST_SAVE if kept else CheckpointPolicy.PREFER_RECOMPUTE


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("way", [UNFUSED, FUSED, dict(fused=True, gated=True)])
def test_a_policy_that_keeps_products(way, layers):
    selective = partial(plain, context_fn=partial(create_selective_checkpoint_contexts, policy))
    _, run = stack(FIXED, layers, way, around=selective, every=1)
    results = []
    held = watch_memory(lambda: results.append(run())).bytes[-1]
    with FlopCount() as counted:
        run().backward()
    trade = Block(**way, formats=ON_CPU).keep_products(layers)
    before, loss = 2 * 2 * 5 * 12, 2  # the first input was there before
    assert held - loss + before == evaluate(trade.after_forward, FIXED)
    assert counted.recomputed == evaluate(trade.recomputed, FIXED)
    watch = watch_memory(lambda: run().backward())
    first = watch.operators.index("aten::mm")  # the first product of the backward pass
    assert watch.bytes[first - 1] - 2 * loss + before == evaluate(trade.activations, FIXED)


def test_a_fused_block_keeps_the_numbers_of_its_parts():
    for gated, matrices in ((False, 2), (True, 3)):
        whole = (attention_part() + feed_forward_part()).at(matrices=matrices, G=H)
        block = Block(fused=True, gated=gated, formats=BlockFormats(1, 1, 1, 1))
        assert evaluate(whole.activations, FIXED) == evaluate(block.kept, FIXED)


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_prediction_for_something_else_disagrees(every):
    found = measured(*stack(FIXED, 3, UNFUSED, around=plain, every=every))
    block = Block(formats=ON_CPU)
    assert found == predicted(block.checkpoint_every(every, 3), FIXED)
    others = [
        Block(fused=True, formats=ON_CPU).checkpoint_every(every, 3),
        Block(gated=True, formats=ON_CPU).checkpoint_every(every, 3),
        Block(dropout=True, formats=ON_CPU).checkpoint_every(every, 3),
        Block().checkpoint_every(every, 3),
        block.checkpoint_every(every, 4),
        block.checkpoint_every(every % 3 + 1, 3),
        block.checkpoint_every(every, 3, early_stop=False),
        block.recompute_squares(3),
        block.keep_all(3),
    ]
    assert found not in [predicted(other, FIXED) for other in others]
