"""Fused attention: two products forward, five backward, counted dense.

The backward kernels keep no scores: they compute them again from queries and
keys, hence five products and not the four of the unfused graph.
"""

from torch._higher_order_ops.flex_attention import flex_attention, flex_attention_backward

from flopbook.operators.table import aten, flop_rule, pointwise_rule

FORWARD = (
    aten._scaled_dot_product_flash_attention_for_cpu,
    aten._scaled_dot_product_flash_attention,
    aten._scaled_dot_product_efficient_attention,
    aten._scaled_dot_product_cudnn_attention,
    aten._scaled_dot_product_fused_attention_overrideable,
)
BACKWARD = (
    aten._scaled_dot_product_flash_attention_for_cpu_backward,
    aten._scaled_dot_product_flash_attention_backward,
    aten._scaled_dot_product_efficient_attention_backward,
    aten._scaled_dot_product_cudnn_attention_backward,
    aten._scaled_dot_product_fused_attention_overrideable_backward,
)


def _scores(query, key) -> int:
    """How many scores there are: one for each head, query and key."""
    (B, H, T, _), S = query.shape, key.shape[-2]
    return B * H * T * S


@flop_rule(*FORWARD, flex_attention)
def attention(out, query, key, value, *_, **__):
    return 2 * _scores(query, key) * (query.shape[-1] + value.shape[-1])


@flop_rule(*BACKWARD)
def attention_backward(out, grad, query, key, value, *_, **__):
    """Scores again, and the gradients of query and key; those of weights and value."""
    return 2 * _scores(query, key) * (3 * query.shape[-1] + 2 * value.shape[-1])


@pointwise_rule(*FORWARD, flex_attention)
def softmax(out, query, key, *_, **__):
    """Scaling and, for each score, the five operations of a softmax."""
    return 6 * _scores(query, key)


@flop_rule(flex_attention_backward)
def flex_backward(out, query, key, value, result, logsumexp, grad, *_, **__):
    return attention_backward(out, grad, query, key, value)


@pointwise_rule(*BACKWARD)
def softmax_backward(out, grad, query, key, *_, **__):
    """Weights again (scale, subtract, exponential), then their gradient (subtract, multiply, scale)."""
    return 6 * _scores(query, key) + 2 * grad.numel()


def _tokens(sequences) -> tuple[int, int, int]:
    """Sequences, the length of the longest, and tokens in all; nested ones differ in length."""
    if not sequences.is_nested:
        B, T = sequences.shape[:2]
        return B, T, B * T
    lengths = sequences._nested_tensor_size()[:, 0]
    return len(lengths), int(lengths.max()), int(lengths.sum())


@flop_rule(aten._native_multi_head_attention)
def multi_head_attention(out, query, key, value, D, *_, **__):
    """The inference path of nn.MultiheadAttention: projections, then scores padded to the longest."""
    (B, T, query_tokens), (_, S, key_tokens) = _tokens(query), _tokens(key)
    return 4 * D * D * (query_tokens + key_tokens) + 4 * B * T * S * D


@flop_rule(aten._transformer_encoder_layer_fwd)
def encoder_layer(out, source, D, heads, *rest, **__):
    """The inference path of nn.TransformerEncoderLayer."""
    F = rest[11].shape[0]
    return multi_head_attention(out, source, source, source, D) + 4 * _tokens(source)[2] * D * F
