"""Test the pairs that a mask leaves out, counted one by one."""

from itertools import product

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.nn import TransformerEncoderLayer
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import BlockMask, create_block_mask, create_mask, flex_attention
from torch.nn.functional import scaled_dot_product_attention

from flopbook.measure.operators.arithmetic import known
from flopbook.measure.operators.registry import CONTRACTIONS, MASKED, POINTWISE, REMADE, TRANSCENDENTAL

B, H, T, E = 5, 3, 16, 8
FORWARD, BACKWARD, SCORES = 2 * (E + E), 2 * (3 * E + 2 * E), 2 * E

WINDOW = torch.tensor([[0 <= t - s < 4 for s in range(T)] for t in range(T)])  # 58 of 256 pairs
DOCUMENTS = torch.tensor([0] * 5 + [1] * 11)


def heads(length=T):
    return torch.ones(B, H, length, E, requires_grad=True)


def additive(mask, value=-torch.inf):
    return torch.zeros(mask.shape).masked_fill(~mask, value)


MASKS = {
    "booleans": WINDOW,
    "minus infinity": additive(WINDOW),
    "the least number": additive(WINDOW, torch.finfo(torch.float32).min),
    "for each sample": WINDOW.expand(B, 1, T, T),
    "for each head": WINDOW.expand(1, H, T, T),
    "for each sample and head": WINDOW.repeat(B, H, 1, 1),
    "one that repeats": additive(WINDOW).expand(B, H, T, T),
}


def test_of_a_window_of_4_over_16_places_58_pairs_are_needed():
    assert int(WINDOW.sum()) == 58


@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_a_mask_leaves_out_what_it_says(count, mask):
    counted = count(lambda: scaled_dot_product_attention(heads(), heads(), heads(), attn_mask=mask).sum().backward())
    hidden = B * H * (256 - 58)
    assert counted.masked["forward"] == FORWARD * hidden
    assert counted.masked["backward"] == BACKWARD * hidden
    assert counted.needed == (FORWARD + BACKWARD) * B * H * 58


def test_a_mask_that_weighs_hides_nothing(count):
    counted = count(lambda: scaled_dot_product_attention(heads(), heads(), heads(), attn_mask=torch.randn(T, T)))
    assert sum(counted.masked.values()) == 0


def test_what_a_fused_kernel_makes_again_is_left_out_of_model_flops(count):
    counted = count(lambda: scaled_dot_product_attention(heads(), heads(), heads()).sum().backward())
    assert counted.remade["backward"] == SCORES * B * H * T * T
    with sdpa_kernel(SDPBackend.MATH):
        unfused = count(lambda: scaled_dot_product_attention(heads(), heads(), heads()).sum().backward())
    assert counted.model_flops == unfused.model_flops == unfused.total == counted.total - counted.remade["backward"]


def test_the_mask_of_unfused_attention_is_unknown(count):
    with sdpa_kernel(SDPBackend.MATH):
        counted = count(lambda: scaled_dot_product_attention(heads(), heads(), heads(), attn_mask=WINDOW))
    assert counted.masked_unknown == {"aten::_safe_softmax": 1}


def test_unfused_attention_without_a_mask_has_nothing_masked(count):
    with sdpa_kernel(SDPBackend.MATH):
        counted = count(lambda: scaled_dot_product_attention(heads(), heads(), heads()))
    assert (counted.masked_unknown, counted.needed) == ({}, counted.total)


def test_a_mask_without_data_is_unknown(count):
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    q = torch.ones(B, H, T, E, device="meta")
    counted = count(lambda: kernel(q, q, q, attn_mask=torch.ones(T, T, device="meta")))
    assert counted.masked_unknown == {"aten::_scaled_dot_product_flash_attention_for_cpu": 1}
    assert counted.forward == FORWARD * B * H * T * T


def test_scores_without_data_may_be_masked():
    rule = MASKED["aten::_safe_softmax"]
    with FakeTensorMode():
        assert rule(None, torch.zeros(B, H, T, T)) is None
    assert rule(None, torch.zeros(B, H, T, T, device="meta")) is None


def test_a_number_in_main_memory_is_read_at_once_and_one_on_a_device_is_not():
    number, elsewhere = known(torch.tensor(58)), torch.empty((), dtype=torch.int64, device="meta")
    assert (number, type(number)) == (58, int)
    assert known(elsewhere) is elsewhere


def test_causality_needs_no_data(count):
    kernel = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
    q = torch.ones(B, H, T, E, device="meta")
    assert count(lambda: kernel(q, q, q, 0.0, True)).masked["forward"] == FORWARD * B * H * T * (T - 1) // 2


def test_another_count_does_not_see_how_a_mask_is_read(count):
    from flopbook.measure import FlopCount  # noqa: PLC0415

    with FlopCount() as outer:
        count(lambda: scaled_dot_product_attention(heads(), heads(), heads(), attn_mask=WINDOW))
    alone = count(lambda: scaled_dot_product_attention(heads(), heads(), heads(), attn_mask=WINDOW))
    assert outer.calls == alone.calls


def window(b, h, q, k):
    return (q >= k) & (q - k < 4)


def documents(b, h, q, k):
    return DOCUMENTS[q] == DOCUMENTS[k]


def second_head_only(b, h, q, k):
    return (h == 1) & (q >= k)


UNFUSED = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")

BLOCKS = {
    "window": (create_block_mask(window, None, None, T, T, device="cpu"), B * H * 58),
    "window in small blocks": (create_block_mask(window, None, None, T, T, device="cpu", BLOCK_SIZE=4), B * H * 58),
    "documents": (create_block_mask(documents, None, None, T, T, device="cpu", BLOCK_SIZE=4), B * H * (25 + 121)),
    "one head of three": (create_block_mask(second_head_only, None, H, T, T, device="cpu", BLOCK_SIZE=8), B * 136),
    "blocks that are listed": (
        BlockMask.from_kv_blocks(
            torch.tensor([[[1, 2]]], dtype=torch.int32), torch.tensor([[[[0, 1], [0, 1]]]], dtype=torch.int32),
            BLOCK_SIZE=8,
        ),
        B * H * 3 * 64,
    ),
    "none": (None, B * H * 256),
}  # fmt: skip


@UNFUSED
@pytest.mark.parametrize(("mask", "needed"), BLOCKS.values(), ids=BLOCKS)
def test_a_block_mask_leaves_out_what_its_function_and_its_blocks_say(count, mask, needed):
    q = torch.ones(B, H, T, E)
    counted = count(lambda: flex_attention(q, q, q, block_mask=mask))
    assert (counted.needed, counted.total) == (FORWARD * needed, FORWARD * B * H * 256)


def test_a_block_mask_without_data_is_unknown():
    mask = create_block_mask(window, None, None, T, T, device="cpu").to("meta").as_tuple()
    q = torch.ones(B, H, T, E, device="meta")
    assert MASKED["higher_order::flex_attention"](None, q, q, q, None, mask, 1.0, {}) is None


def test_one_block_that_hides_nothing_is_no_mask_though_it_has_no_data():
    q, k = torch.ones(B, H, 3, E, device="meta"), torch.ones(B, H, 5, E, device="meta")
    ones, zeros = (each(1, 1, 1, dtype=torch.int32, device="meta") for each in (torch.ones, torch.zeros))
    masked = {}
    for size in (3, 5), (2, 5), (3, 4):
        mask = BlockMask.from_kv_blocks(ones, zeros[..., None], BLOCK_SIZE=size, seq_lengths=(3, 5)).as_tuple()
        masked[size] = MASKED["higher_order::flex_attention"](None, q, k, k, None, mask, 1.0, {})
    assert masked == {(3, 5): 0, (2, 5): None, (3, 4): None}


@UNFUSED
def test_a_block_mask_over_more_keys_than_queries(count):
    """Of 24 keys in three blocks, the first 8 queries see block 2, the other 8 all of blocks 0 and 1."""
    listed = torch.tensor([[[[2, 0, 1], [0, 1, 2]]]], dtype=torch.int32)
    number = torch.tensor([[[1, 2]]], dtype=torch.int32)
    mask = BlockMask.from_kv_blocks(number, listed, BLOCK_SIZE=8, seq_lengths=(T, 24))
    q, k = torch.ones(B, H, T, E), torch.ones(B, H, 24, E)
    counted = count(lambda: flex_attention(q, k, k, block_mask=mask))
    assert (counted.needed, counted.total) == (FORWARD * B * H * (8 * 8 + 8 * 16), FORWARD * B * H * T * 24)


@pytest.mark.parametrize(
    ("keys", "at_once", "parts"),
    [(16, 48, [3, 3, 3, 3, 3, 1]), (16, 1, [1] * 16), (1, 10, [10, 6])], ids=str,
)  # fmt: skip
def test_a_long_mask_is_read_in_parts(monkeypatch, keys, at_once, parts):
    read = []

    def reads(allows, *sizes, **named):
        read.append(sizes[2])
        return create_mask(allows, *sizes, **named)

    monkeypatch.setattr("flopbook.measure.operators.attention._AT_ONCE", at_once)
    monkeypatch.setattr("torch.nn.attention.flex_attention.create_mask", reads)
    number, places = torch.ones(1, 1, 1, dtype=torch.int32), torch.zeros(1, 1, 1, 1, dtype=torch.int32)
    mask = BlockMask.from_kv_blocks(number, places, BLOCK_SIZE=T, mask_mod=window, seq_lengths=(T, keys)).as_tuple()
    q, k = torch.ones(B, H, T, E), torch.ones(B, H, keys, E)
    masked = MASKED["higher_order::flex_attention"](None, q, k, k, None, mask, 1.0, {})
    needed = sum(bool(window(0, 0, t, s)) for t, s in product(range(T), range(keys)))
    assert (masked, read) == (FORWARD * B * H * (T * keys - needed), parts)


LENGTHS = [(5, 5), (3, 7), (7, 3)]
SIDES = [(None, None), (2, None), (None, 1), (2, 0), (0, 0), (-1, -1), (9, 9)]


def seen(queries, keys, left, right, causal):
    """Count the pairs in a window around a query, aligned at the last key."""
    shift = keys - queries
    right = 0 if causal else right
    return sum(
        (left is None or left < 0 or s >= t + shift - left) and (right is None or right < 0 or s <= t + shift + right)
        for t, s in product(range(queries), range(keys))
    )


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("left", "right"), SIDES)
@pytest.mark.parametrize(("queries", "keys"), LENGTHS)
def test_a_window_is_at_the_end_of_the_keys(queries, keys, left, right, causal):
    q, k = torch.empty(B, queries, H, E, device="meta"), torch.empty(B, keys, H, E, device="meta")
    arguments = (None, q, k, k, None, None, queries, keys, 0.0, causal, False)
    masked = MASKED["aten::_flash_attention_forward"](*arguments, window_size_left=left, window_size_right=right)
    assert masked == FORWARD * B * H * (queries * keys - seen(queries, keys, left, right, causal))


@pytest.mark.parametrize(("kind", "size", "needed"), [(0, None, 35), (1, None, 15), (2, None, 25), (2, 3, 15)])
def test_the_efficient_kernel_names_its_masks_by_number(kind, size, needed):
    """Of 5 queries and 7 keys: all, causal from the first query on, from the last one back, and of that 3 keys each."""
    q, k = torch.empty(1, 5, 1, E, device="meta"), torch.empty(1, 7, 1, E, device="meta")
    arguments = (None, q, k, k, None, None, None, 5, 7, 0.0, kind)
    assert MASKED["aten::_efficient_attention_forward"](*arguments, window_size=size) == FORWARD * (35 - needed)


@pytest.mark.parametrize("kind", [torch.bool, torch.float32, torch.float16])
def test_a_fused_layer_is_given_its_mask_by_place_or_by_name(kind):
    source, diagonal = torch.ones(B, T, E), torch.eye(T, dtype=torch.bool)
    mask = diagonal if kind is torch.bool else additive(~diagonal, torch.finfo(kind).min).to(kind)
    layer = MASKED["aten::_transformer_encoder_layer_fwd"]
    hidden = 4 * E * B * T
    assert layer(None, source, E, H, *[None] * 15, mask) == layer(None, source, E, H, mask=mask) == hidden


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_a_fused_layer_does_not_know_its_mask_without_data_or_with_sequences_of_several_lengths():
    layer = MASKED["aten::_transformer_encoder_layer_fwd"]
    mask, nested = torch.eye(T, dtype=torch.bool), torch.nested.nested_tensor([torch.ones(3, E), torch.ones(T, E)])
    assert layer(None, torch.ones(B, T, E), E, H, mask=mask.to("meta")) is None
    assert layer(None, nested, E, H, mask=mask) is None
    assert layer(None, nested, E, H) == 0


def test_sequences_of_unknown_lengths_are_uncounted():
    q, ends = torch.empty(8, H, E, device="meta"), torch.empty(3, dtype=torch.int32, device="meta")
    arguments = (None, q, q, q, ends, ends, 5, 5, 0.0, False, False)
    assert CONTRACTIONS["aten::_flash_attention_forward"](*arguments) is None
    assert MASKED["aten::_flash_attention_forward"](*arguments) is None
    assert POINTWISE["aten::_flash_attention_forward"](*arguments) == 0
    assert TRANSCENDENTAL["aten::_flash_attention_forward"](*arguments) == 0
    backward = (None, q, q, q, q, q, None, ends, ends, 5, 5, 0.0, False)
    assert REMADE["aten::_flash_attention_backward"](*backward) == 0


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_documents_in_a_nested_tensor_meet_their_own_keys_only(count):
    parts = [torch.ones(length, H, E, requires_grad=True) for length in (3, 5)]
    nested = torch.nested.as_nested_tensor(parts, layout=torch.jagged).transpose(1, 2)
    counted = count(lambda: scaled_dot_product_attention(nested, nested, nested).values().sum().backward())
    assert counted.forward == FORWARD * H * (9 + 25)
    assert counted.backward == 2 * counted.forward


def test_the_mask_of_an_encoder_layer_in_inference(count):
    layer = TransformerEncoderLayer(E, 2, 16, batch_first=True).eval()
    later, padding = torch.ones(5, 5).triu(1).bool(), torch.tensor([[False] * 5, [False] * 3 + [True] * 2])
    with torch.no_grad():
        causal = count(lambda: layer(torch.ones(2, 5, E), src_mask=later))
        padded = count(lambda: layer(torch.ones(2, 5, E), src_key_padding_mask=padding))
    assert causal.masked["forward"] == 2 * 2 * 2 * 10 * E
    assert padded.masked["forward"] == 2 * 2 * 5 * 2 * E
