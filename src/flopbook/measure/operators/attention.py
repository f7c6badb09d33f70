"""Fused attention: two products forward, five backward, counted dense.

The backward kernels keep no scores: they compute them again from queries and
keys, hence five products and not the four of the unfused graph.
"""

from torch._higher_order_ops.flex_attention import flex_attention, flex_attention_backward

from flopbook.measure.operators.registry import aten, flop_rule, masked_rule, pointwise_rule

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
    """Two products over all queries and keys: the scores, and their weighted sum of the values."""
    return 2 * _scores(query, key) * (query.shape[-1] + value.shape[-1])


@flop_rule(*BACKWARD)
def attention_backward(out, grad, query, key, value, *_, **__):
    """Five products: the scores again, and the gradients of query, key, weights and value."""
    return 2 * _scores(query, key) * (3 * query.shape[-1] + 2 * value.shape[-1])


def _causal(operator) -> int:
    """Where among its arguments an operator is told to be causal."""
    return [argument.name for argument in operator.default._schema.arguments].index("is_causal")


def _masked_share(rule, operator):
    """Rule for the part of `rule` that lies above the diagonal, where the operator is causal."""
    position = _causal(operator)

    def masked(out, *args, **kwargs):
        if not kwargs.get("is_causal", len(args) > position and args[position]):
            return 0
        query, key = args[1:3] if operator in BACKWARD else args[:2]
        T, S = query.shape[-2], key.shape[-2]
        growing = min(T, S)  # queries that see one key more than the query before them
        seen = growing * (growing + 1) // 2 + (T - growing) * S
        return rule(out, *args, **kwargs) * (T * S - seen) // (T * S)

    return masked


for _operator in FORWARD:
    masked_rule(_operator)(_masked_share(attention, _operator))
for _operator in BACKWARD:
    masked_rule(_operator)(_masked_share(attention_backward, _operator))


@pointwise_rule(*FORWARD, flex_attention)
def softmax(out, query, key, *_, **__):
    """Scaling and, for each score, the five operations of a softmax."""
    return 6 * _scores(query, key)


@flop_rule(flex_attention_backward)
def flex_backward(out, query, key, value, result, logsumexp, grad, *_, **__):
    """As of any fused attention: five products."""
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
    B, T, query_tokens = _tokens(query)
    S, key_tokens = _tokens(key)[1:]
    return 4 * D * D * (query_tokens + key_tokens) + 4 * B * T * S * D


@flop_rule(aten._transformer_encoder_layer_fwd)
def encoder_layer(out, source, D, heads, *rest, **__):
    """The inference path of nn.TransformerEncoderLayer: attention and two products."""
    F = rest[11].shape[0]
    return multi_head_attention(out, source, source, source, D) + 4 * _tokens(source)[2] * D * F


@pointwise_rule(aten._native_multi_head_attention)
def multi_head_pointwise(out, query, key, value, D, heads, *_, **__):
    """The biases of all projections, and scaling and softmax of the scores."""
    B, T, query_tokens = _tokens(query)
    S, key_tokens = _tokens(key)[1:]
    return 2 * D * (query_tokens + key_tokens) + 6 * B * heads * T * S


@pointwise_rule(aten._transformer_encoder_layer_fwd)
def encoder_layer_pointwise(out, source, D, heads, *rest, **__):
    """Those of its attention; two norms and two sums of width D; two biases and an activation."""
    F = rest[11].shape[0]
    own = _tokens(source)[2] * (2 * 5 * D + 2 * D + F + D + F)
    return multi_head_pointwise(out, source, source, source, D, heads) + own
