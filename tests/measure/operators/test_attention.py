"""Test fused attention and the transformer layers' fast paths."""

import pytest
import torch
from torch import nn
from torch.nn.functional import scaled_dot_product_attention

B, H, T, S, E = 2, 4, 3, 5, 8
SCORES = 2 * B * H * T * S * E
CPU_KERNEL = "aten::_scaled_dot_product_flash_attention_for_cpu"


def heads(length, number=H):
    return torch.ones(B, number, length, E, requires_grad=True)


@pytest.mark.parametrize(
    "kinds",
    [{}, {"attn_mask": torch.zeros(T, S)}, {"is_causal": True}, {"dropout_p": 0.5}],
    ids=["plain", "mask", "causal", "dropout"],
)
def test_two_products_forward_whatever_is_masked(count, kinds):
    assert count(lambda: scaled_dot_product_attention(heads(T), heads(S), heads(S), **kinds)).forward == 2 * SCORES


@pytest.mark.parametrize("length", [1, 2, 7])
def test_the_causal_half_is_a_figure_apart(count, length):
    """Of T x T scores, those after their query are masked: T (T - 1) / 2 for each head."""
    q, k, v = (heads(length) for _ in range(3))
    counted = count(lambda: scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward())
    product = 2 * B * H * E * length * (length - 1) // 2
    assert (counted.masked["forward"], counted.masked["backward"]) == (2 * product, 5 * product)


@pytest.mark.parametrize(("queries", "keys"), [(3, 5), (5, 3)])
def test_a_causal_query_sees_the_keys_up_to_its_own_place(count, queries, keys):
    q, k = heads(queries), heads(keys)
    counted = count(lambda: scaled_dot_product_attention(q, k, k, is_causal=True))
    masked = sum(s > t for t in range(queries) for s in range(keys))
    assert counted.masked["forward"] == 4 * B * H * E * masked


def test_without_causality_nothing_is_masked(count):
    counted = count(lambda: scaled_dot_product_attention(heads(T), heads(T), heads(T)))
    assert sum(counted.masked.values()) == 0


def test_heads_that_share_keys_compute_as_many_scores(count):
    few = heads(S, number=2)
    assert count(lambda: scaled_dot_product_attention(heads(T), few, few, enable_gqa=True)).forward == 2 * SCORES


def test_the_fused_kernel_computes_the_scores_again(count):
    counted = count(lambda: scaled_dot_product_attention(heads(T), heads(S), heads(S)).sum().backward())
    assert list(counted.by_operator) == [f"{CPU_KERNEL}_backward", CPU_KERNEL]
    assert (counted.forward, counted.backward) == (2 * SCORES, 5 * SCORES)


def test_the_unfused_graph_keeps_them(count):
    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        counted = count(lambda: scaled_dot_product_attention(heads(T), heads(S), heads(S)).sum().backward())
    assert (counted.forward, counted.backward) == (2 * SCORES, 4 * SCORES)


def test_a_softmax_takes_six_operations_for_each_score(count):
    assert count(lambda: scaled_dot_product_attention(heads(T), heads(S), heads(S))).pointwise["forward"] == (
        6 * B * H * T * S
    )


def test_values_may_have_another_width(count):
    narrow = torch.ones(B, H, S, 7)
    counted = count(lambda: scaled_dot_product_attention(heads(T), heads(S), narrow))
    assert counted.forward == 2 * B * H * T * S * (E + 7)


@pytest.mark.parametrize(
    "module",
    [nn.MultiheadAttention(8, 2, batch_first=True), nn.TransformerEncoderLayer(8, 2, 16, 0.0, batch_first=True)],
    ids=["attention", "encoder layer"],
)
def test_the_fast_path_counts_what_the_slow_one_runs(count, module):
    x = torch.ones(2, 5, 8)
    arguments = (x, x, x) if isinstance(module, nn.MultiheadAttention) else (x,)
    slow = count(lambda: module.train()(*arguments))
    with torch.no_grad():
        fast = count(lambda: module.eval()(*arguments))
    assert "aten::mm" not in fast.by_operator and "aten::addmm" not in fast.by_operator
    assert (fast.total, fast.masked["forward"]) == (slow.total, 0)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
def test_the_fast_path_skips_padding(count):
    layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
    encoder = nn.TransformerEncoder(layer, 1).eval()
    padding = torch.tensor([[False] * 5, [False] * 3 + [True] * 2])  # 8 tokens of 10
    with torch.no_grad():
        counted = count(lambda: encoder(torch.ones(2, 5, 8), src_key_padding_mask=padding))
    projections, scores, feed_forward = 4 * 2 * 8 * 8 * 8, 2 * 2 * 2 * 5 * 5 * 8, 2 * 2 * 8 * 8 * 16
    assert counted.total == projections + scores + feed_forward
