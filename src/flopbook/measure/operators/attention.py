"""Count fused attention dense, and the pairs that its mask leaves out.

The backward kernels keep no scores: they compute them again from queries and
keys, hence five products and not the four of the unfused graph. FlexAttention
computes them twice, and a gradient with them, hence seven.
"""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import torch
from torch import Tensor

from flopbook.measure.operators.arithmetic import has_data, known, unseen
from flopbook.measure.operators.names import contraction, masked, pointwise, qualified, remade, transcendental

#: A number of pairs or of FLOPs: an int, a tensor that holds one, or None where it is not known.
Number = int | Tensor | None

#: Kernels that take heads x sequence x width, and one length for all sequences of a batch.
PADDED = (
    "_scaled_dot_product_flash_attention_for_cpu",
    "_scaled_dot_product_flash_attention",
    "_scaled_dot_product_efficient_attention",
    "_scaled_dot_product_cudnn_attention",
    "_scaled_dot_product_fused_attention_overrideable",
)
#: Kernels that take sequence x heads x width, and packed sequences, each of its own length.
PACKED = ("_flash_attention", "_efficient_attention", "_cudnn_attention")
FORWARD = (
    *PADDED,
    "_scaled_dot_product_attention_math_for_mps",
    *(f"{name}_forward" for name in PACKED),
    "torch_attn::_varlen_attn",
)
BACKWARD = (*(f"{name}_backward" for name in (*PADDED, *PACKED)), "torch_attn::_varlen_attn_backward")
FLEX, FLEX_BACKWARD = "higher_order::flex_attention", "higher_order::flex_attention_backward"


class _Sizes(NamedTuple):
    """Holds the sizes of one call; lengths are tensors where sequences differ in length."""

    rows: int  # heads of all samples; of packed sequences, heads
    queries: int | Tensor
    keys: int | Tensor
    width: int
    value_width: int

    def all(self, pairs: int | Tensor) -> int | Tensor:
        """Add up the pairs of all sequences and heads."""
        return self.rows * (known(pairs.sum()) if isinstance(pairs, Tensor) else pairs)

    @property
    def pairs(self) -> int | Tensor:
        """Count the pairs of a query and a key of the same sequence and head."""
        return self.all(self.queries * self.keys)


@lru_cache
def _argument_names(operator: str) -> tuple[str, ...]:
    namespace, name = qualified(operator).split("::")
    schema = getattr(getattr(torch.ops, namespace), name).default._schema
    return tuple(argument.name for argument in schema.arguments)


def _given(operator: str, arguments: tuple, named: Mapping[str, Any]) -> dict[str, Any]:
    """Name the arguments of a call, on whose order kernels do not agree."""
    return dict(zip(_argument_names(operator), arguments, strict=False)) | dict(named)


def _first(given: Mapping[str, Any], *names: str) -> Any:
    return next((given[name] for name in names if given.get(name) is not None), None)


def _sizes(operator: str, given: Mapping[str, Any]) -> _Sizes | None:
    """Read the sizes of a call; None where lengths differ and have no data."""
    query, key, value = given["query"], given["key"], given["value"]
    widths = query.shape[-1], value.shape[-1]
    if operator.startswith("_scaled_dot_product"):
        return _padded_sizes(query, key, value)
    ends = _first(given, "cum_seq_q", "cu_seqlens_q", "cu_seq_q")
    if ends is None and operator.startswith("_cudnn"):
        return _padded_sizes(query, key, value)
    if ends is None:
        B, T, H, _ = query.shape
        return _Sizes(B * H, T, key.shape[1], *widths)
    if not has_data(ends):
        return None
    lengths = ends.diff().to(torch.int64)
    used = _first(given, "seqused_k", "seqlen_k")
    key_ends = _first(given, "cum_seq_k", "cu_seqlens_k", "cu_seq_k")
    keys = used if used is not None else lengths if key_ends is None else key_ends.diff()
    return _Sizes(query.shape[-2], lengths, keys.to(torch.int64), *widths)


def _padded_sizes(query: Tensor, key: Tensor, value: Tensor) -> _Sizes:
    B, H, T, width = query.shape
    return _Sizes(B * H, T, key.shape[2], width, value.shape[3])


def _masked_pairs(operator: str, given: Mapping[str, Any], sizes: _Sizes) -> Number:
    """Count the pairs that a call's mask, causality or window leaves out."""
    mask = _first(given, "attn_mask", "attn_bias", "bias")
    if mask is not None and mask.numel():
        return _hidden(mask, sizes.pairs)
    below, above = _window(operator, given, sizes)
    if below is None and above is None:
        return 0
    T, S = sizes.queries, sizes.keys
    needed = T * S if above is None else _up_to(T, S, above)
    if below is not None:
        needed = needed - _up_to(T, S, below - 1)
    return sizes.all(T * S - needed)


def _window(operator: str, given: Mapping[str, Any], sizes: _Sizes) -> tuple[Any, Any]:
    """Read least and greatest distance of a key after its query, or None.

    The first query and the first key are at the same place; in kernels that
    take packed sequences, the last query and the last key.
    """
    left, right = given.get("window_size_left"), given.get("window_size_right")
    window = given.get("window_size")
    if isinstance(window, int):
        left = window - 1 if window else None  # the query's own place is in this kernel's window
    elif window:
        left, right = window
    kind = given.get("custom_mask_type", 0)  # 1 is causal from the first query on, 2 from the last one back
    if given.get("is_causal") or kind:
        right = 0
    aligned = operator.startswith("_scaled_dot_product") or kind == 1
    shift = 0 if aligned else sizes.keys - sizes.queries
    return (
        None if left is None or left < 0 else shift - left,
        None if right is None or right < 0 else shift + right,
    )


def _up_to(queries, keys, distance):
    """Count the pairs whose key is at most `far` after its query.

    A query t sees t + distance + 1 keys, at least 0 and at most all: two sums
    of that kind, of which each is a difference of triangles.
    """

    def triangle(side):
        side = (side + abs(side)) // 2
        return side * (side + 1) // 2

    from_none = triangle(queries + distance) - triangle(distance)
    beyond_all = triangle(queries + distance - keys) - triangle(distance - keys)
    return from_none - beyond_all


def _hidden(mask: Tensor, pairs: int | Tensor) -> Number:
    """Count the pairs that a mask leaves out: False, minus infinity or the lowest number."""
    if not has_data(mask):
        return None
    mask = mask[tuple(slice(1 if step == 0 else None) for step in mask.stride())]  # what is repeated, once
    hidden = ~mask if mask.dtype is torch.bool else mask <= torch.finfo(mask.dtype).min
    return known(hidden.sum() * (pairs // mask.numel()))


def _forward(sizes: _Sizes) -> int:
    return 2 * (sizes.width + sizes.value_width)


def _backward(sizes: _Sizes) -> int:
    return 2 * (3 * sizes.width + 2 * sizes.value_width)


def _register(operator: str, each: Callable[[_Sizes], int], products: str) -> None:
    """Register the rules of a kernel, from its FLOPs for each pair."""

    @unseen
    def flops(out, *arguments, **named):
        sizes = _sizes(operator, _given(operator, arguments, named))
        return None if sizes is None else each(sizes) * sizes.pairs

    @unseen
    def left_out(out, *arguments, **named):
        given = _given(operator, arguments, named)
        sizes = _sizes(operator, given)
        pairs = None if sizes is None else _masked_pairs(operator, given, sizes)
        return None if sizes is None or pairs is None else each(sizes) * pairs

    @unseen
    def softmax(out, *arguments, **named):
        given = _given(operator, arguments, named)
        sizes = _sizes(operator, given)
        weigh_results = 2 * given["out"].numel() if operator in BACKWARD else 0
        return 0 if sizes is None else 6 * sizes.pairs + weigh_results

    @unseen
    def exponentials(out, *arguments, **named):
        sizes = _sizes(operator, _given(operator, arguments, named))
        return 0 if sizes is None else sizes.pairs

    flops.__doc__ = f"{products}, of every query with every key of its sequence."
    left_out.__doc__ = f"{products}, of the pairs that a mask, causality or a window leaves out."
    softmax.__doc__ = "6 for each score: scale, maximum, subtract, exponential, sum, divide; or their derivatives."
    exponentials.__doc__ = "1 exponential for each score."
    contraction(operator)(flops)
    masked(operator)(left_out)
    pointwise(operator)(softmax)
    transcendental(operator)(exponentials)


def _register_scores(operator: str) -> None:
    @remade(operator)
    @unseen
    def scores(out, *arguments, **named):
        """1 product of the five: the scores, which the forward pass had made."""
        sizes = _sizes(operator, _given(operator, arguments, named))
        return 0 if sizes is None else 2 * sizes.width * sizes.pairs


for _operator in FORWARD:
    _register(_operator, _forward, "2 products: the scores, and their weighted sum of the values")
for _operator in BACKWARD:
    _register(_operator, _backward, "5 products: the scores again, the gradients of query, key, weights and value")
    _register_scores(_operator)


@contraction(FLEX)
def flex(out, query, key, value, *_, **__):
    """2 products: the scores, and their weighted sum of the values, of every query with every key."""
    sizes = _padded_sizes(query, key, value)
    return _forward(sizes) * sizes.pairs


@contraction(FLEX_BACKWARD)
def flex_backward(out, query, key, value, *_, **__):
    """7 products, as the compiled kernel runs them: scores and the weights' gradient twice, query, key and value."""
    sizes = _padded_sizes(query, key, value)
    return (4 * 2 * sizes.width + 3 * 2 * sizes.value_width) * sizes.pairs


@remade(FLEX_BACKWARD)
def flex_made_again(out, query, key, value, *_, **__):
    """3 products of the seven: the scores twice, which the forward pass had made, and the weights' gradient once."""
    sizes = _padded_sizes(query, key, value)
    return (2 * 2 * sizes.width + 2 * sizes.value_width) * sizes.pairs


@pointwise(FLEX)
def flex_softmax(out, query, key, value, *_, **__):
    """6 for each score: scale, maximum, subtract, exponential, sum, divide; a change of scores counts by itself."""
    return 6 * _padded_sizes(query, key, value).pairs


@pointwise(FLEX_BACKWARD)
def flex_softmax_backward(out, query, key, value, result, *_, **__):
    """6 for each score: scale, subtract, exponential, subtract, multiply, scale; 2 for each element of the result."""
    return 6 * _padded_sizes(query, key, value).pairs + 2 * result.numel()


@transcendental(FLEX, FLEX_BACKWARD)
def flex_exponentials(out, query, key, value, *_, **__):
    """1 exponential for each score."""
    return _padded_sizes(query, key, value).pairs


@masked(FLEX)
@unseen
def flex_masked(out, query, key, value, score_mod, block_mask, scale, options, scores=(), buffers=()):
    """2 products, of the pairs that the block mask leaves out."""
    sizes = _padded_sizes(query, key, value)
    hidden = _hidden_by_blocks(block_mask, buffers, query, key)
    return None if hidden is None else _forward(sizes) * hidden


@masked(FLEX_BACKWARD)
@unseen
def flex_masked_backward(
    out, query, key, value, result, logsumexp, grad, grad_logsumexp, score_graph, joint_graph, block_mask, scale,
    options, scores=(), buffers=(),
):  # fmt: skip
    """7 products, of the pairs that the block mask leaves out."""
    hidden = _hidden_by_blocks(block_mask, buffers, query, key)
    return None if hidden is None else (8 * query.shape[-1] + 6 * value.shape[-1]) * hidden


#: Pairs of which a mask is read at a time, so that it takes little memory.
_AT_ONCE = 2**22


def _hidden_by_blocks(block_mask: tuple, buffers: tuple, query: Tensor, key: Tensor) -> Number:
    """Count the pairs that a block mask leaves out, by function in partial blocks."""
    from torch.nn.attention.flex_attention import create_mask, noop_mask  # noqa: PLC0415  (imported already where there is a mask)

    partial, places, full, full_places = block_mask[2:6]
    block_of_queries, block_of_keys, allows = block_mask[-3:]
    (B, H, T, _), S = query.shape, key.shape[2]
    if allows is noop_mask and block_of_queries >= T and block_of_keys >= S:
        return 0  # this block mask stands for no mask
    if not has_data(partial):
        return None
    samples, heads = partial.shape[:2]
    blocks = -(-S // block_of_keys)
    column = torch.arange(S, device=partial.device) // block_of_keys
    needed = torch.zeros((), dtype=torch.int64, device=partial.device)
    at_once = max(1, _AT_ONCE // S)  # attention without keys does not run
    for start in range(0, T, at_once):
        rows = min(T - start, at_once)
        row = torch.arange(start, start + rows, device=partial.device) // block_of_queries

        def shifted(b, h, q, k, start=start):
            return allows(b, h, q + start, k, *buffers)

        seen = create_mask(shifted, samples, heads, rows, S, device=partial.device)
        seen = seen & _listed(partial, places, blocks)[:, :, row][..., column]
        if full is not None:
            seen = seen | _listed(full, full_places, blocks)[:, :, row][..., column]
        needed = needed + seen.sum()
    return B * H * T * S - known(needed) * (B * H // (samples * heads))


def _listed(number: Tensor, places: Tensor, blocks: int) -> Tensor:
    """Mark the blocks of keys that each block of queries lists."""
    counts = torch.arange(places.shape[-1], device=places.device) < number[..., None]
    listed = torch.zeros(*number.shape, blocks + 1, dtype=torch.bool, device=places.device)
    return listed.scatter(-1, torch.where(counts, places, blocks).to(torch.int64), True)[..., :blocks]


@masked("_safe_softmax")
@unseen
def softmax_of_masked_scores(out, scores, *_, **__):
    """Not known where scores are minus infinity: attention that runs unfused has lost the width of its products."""
    if scores.is_nested or not has_data(scores) or scores.device.type != "cpu":  # a device would have to wait
        return None
    return None if scores.isneginf().any() else 0


def _tokens(sequences) -> tuple[int, int, int]:
    """Return the number of sequences, the longest length, and the number of tokens."""
    if not sequences.is_nested:
        B, T = sequences.shape[:2]
        return B, T, B * T
    lengths = sequences._nested_tensor_size()[:, 0]
    return len(lengths), int(lengths.max()), int(lengths.sum())


@contraction("_native_multi_head_attention")
def multi_head_attention(out, query, key, value, D, *_, **__):
    """2 for each token and weight of the four projections; 2 products of scores, padded to the longest sequence."""
    B, T, query_tokens = _tokens(query)
    S, key_tokens = _tokens(key)[1:]
    return 4 * D * D * (query_tokens + key_tokens) + 4 * B * T * S * D


@contraction("_transformer_encoder_layer_fwd")
def encoder_layer(out, source, D, heads, *rest, **__):
    """The products of multi-head attention, and 2 more for each token and weight of the feed-forward layers."""
    F = rest[11].shape[0]
    return multi_head_attention(out, source, source, source, D) + 4 * _tokens(source)[2] * D * F


@masked("_native_multi_head_attention")
@unseen
def multi_head_masked(out, query, key, value, D, heads, w, b, w_out, b_out, mask=None, *_, **__):
    """2 products, of the pairs that the mask leaves out; not known where sequences differ in length."""
    return _masked_by_heads(query, key, D, heads, mask)


@masked("_transformer_encoder_layer_fwd")
@unseen
def encoder_layer_masked(out, source, D, heads, *rest, mask=None, **__):
    """2 products, of the pairs that the mask leaves out; not known where sequences differ in length."""
    return _masked_by_heads(source, source, D, heads, rest[15] if len(rest) > 15 else mask)


def _masked_by_heads(query, key, D: int, heads: int, mask: Tensor | None) -> Number:
    if mask is None:
        return 0
    if query.is_nested or not has_data(mask):
        return None
    (B, T), S = query.shape[:2], key.shape[1]
    hidden = mask if mask.dtype is torch.bool else mask <= torch.finfo(mask.dtype).min  # here True leaves out
    return known(hidden.sum() * (4 * B * T * S * D // mask.numel()))


@pointwise("_native_multi_head_attention")
def multi_head_pointwise(out, query, key, value, D, heads, *_, **__):
    """2 x width for each token, biases; 6 for each score: scale, maximum, subtract, exponential, sum, divide."""
    B, T, query_tokens = _tokens(query)
    S, key_tokens = _tokens(key)[1:]
    return 2 * D * (query_tokens + key_tokens) + 6 * B * heads * T * S


@transcendental("_native_multi_head_attention")
def multi_head_exponentials(out, query, key, value, D, heads, *_, **__):
    """1 exponential for each score."""
    B, T, _tokens_of_query = _tokens(query)
    return B * heads * T * _tokens(key)[1]


@pointwise("_transformer_encoder_layer_fwd")
def encoder_layer_pointwise(out, source, D, heads, *rest, **__):
    """Those of multi-head attention; for each token two norms and two sums, two biases and an activation."""
    F = rest[11].shape[0]
    own = _tokens(source)[2] * (2 * 5 * D + 2 * D + F + D + F)
    return multi_head_pointwise(out, source, source, source, D, heads) + own


@transcendental("_transformer_encoder_layer_fwd")
def encoder_layer_exponentials(out, source, D, heads, *rest, **__):
    """1 exponential for each score; 1 for each hidden unit where the activation is a GELU."""
    gelu = rest[4] * _tokens(source)[2] * rest[11].shape[0]
    return multi_head_exponentials(out, source, source, source, D, heads) + gelu
