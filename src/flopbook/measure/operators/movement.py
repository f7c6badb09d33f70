"""Operators that only move data, or make it: zero FLOPs by rule."""

import torch
from torch._ops import OpOverload

#: Operators that copy, look up, fill or select elements, or draw random numbers; views are known by their tags.
MOVEMENT = set(
    """
    _assert_async _coalesce _coalesced_ _copy_from _cudnn_init_dropout_state _efficientzerotensor
    _fill_mem_eff_dropout_mask_ _foreach_copy_ _foreach_zero_ _fused_sdp_choice _fw_primal _indices
    _jagged_to_padded_dense_forward _local_scalar_dense _nested_from_padded
    _nested_from_padded_tensor _nested_tensor_from_mask _nested_tensor_from_mask_left_aligned
    _nested_tensor_from_tensor_list _new_zeros_with_same_feature_meta _pack_padded_sequence
    _pack_padded_sequence_backward _padded_dense_to_jagged_forward _reshape_alias _reshape_copy
    _reshape_from_tensor _resize_output_ _sample_dirichlet _sparse_coo_tensor_with_dims_and_tensors
    _sparse_mask_projection _standard_gamma _to_copy _to_dense _to_sparse _to_sparse_bsc
    _to_sparse_bsr _to_sparse_csc _to_sparse_csr _unsafe_index _unsafe_masked_index _unsafe_view
    _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d _values alias_copy
    arange as_strided_scatter bernoulli bernoulli_ binomial block_diag cat cauchy cauchy_
    channel_shuffle clone complex constant_pad_nd copy copy_ detach_ diag_embed diagonal_backward
    diagonal_scatter embedding empty empty_like empty_permuted empty_strided equal exponential
    exponential_ eye fill fill_ flip fractional_max_pool2d_backward fractional_max_pool3d_backward
    full full_like gather geometric geometric_ im2col index index_copy index_copy_ index_fill
    index_fill_ index_select is_same_size lift linspace log_normal log_normal_ logspace masked_fill
    masked_fill_ masked_scatter masked_scatter_ masked_scatter_backward masked_select
    max_pool2d_with_indices_backward max_pool3d_with_indices_backward max_unpool2d max_unpool3d
    multinomial narrow_copy new_empty new_empty_strided new_full new_ones new_zeros nonzero normal
    normal_ normal_functional ones ones_like pixel_shuffle pixel_unshuffle poisson rand rand_like
    randint randint_like randn randn_like random random_ randperm record_stream reflection_pad1d
    reflection_pad2d reflection_pad3d repeat repeat_interleave replication_pad1d replication_pad2d
    replication_pad3d resize_ roll rot90 scalar_tensor select_backward select_scatter set_
    slice_backward slice_scatter sort sparse_mask split_with_sizes_copy stack take to_mkldnn
    to_padded_tensor topk trace_backward tril tril_indices triu triu_indices unfold_copy uniform
    uniform_ unique_consecutive unique_dim unsafe_split unsafe_split_with_sizes upsample_nearest1d
    upsample_nearest2d upsample_nearest3d value_selecting_reduction_backward view_as_complex_copy
    view_as_real_copy where zero zero_ zeros zeros_like
    """.split()  # noqa: SIM905  (so many names read better without quotes)
)

#: Where all operators move: what processes send each other, also in sums, and prims, which tell a result's shape only.
_NAMESPACES = {"_c10d_functional", "c10d", "fsdp", "prim", "prims", "profiler"}


def moves(operator: OpOverload) -> bool:
    """Whether an operator only moves or makes data."""
    return (
        operator.is_view
        or operator.namespace in _NAMESPACES
        or operator._schema.name.removeprefix("aten::") in MOVEMENT
        or torch.Tag.inplace_view in operator.tags
    )
