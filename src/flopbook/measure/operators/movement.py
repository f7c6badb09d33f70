"""List the operators that only move or make data: zero FLOPs by rule."""

import torch
from torch._ops import OpOverload

from flopbook.measure.operators.names import bare

#: Operators that only move or make data, by what they do; PyTorch's marks tell views and copies of views.
TABLE = {
    "copy": """
        _coalesce _coalesced _copy_from _reshape_copy _resize_output _to_copy _unsafe_view block_diag cat
        channel_shuffle clone copy lift repeat repeat_interleave resize set stack _stack _pin_memory lu_unpack
        unsafe_split unsafe_split_with_sizes""",
    "turn and shift": "flip im2col pixel_shuffle pixel_unshuffle roll rot90",
    "pad, cut and write into": """
        _spdiags as_strided_scatter constant_pad_nd diag_embed diagonal_scatter reflection_pad1d reflection_pad2d
        reflection_pad3d replication_pad1d replication_pad2d replication_pad3d select_scatter tril triu""",
    "look up": """
        embedding gather index index_select masked_select max_unpool2d max_unpool3d nonzero take where
        _unsafe_index _unsafe_masked_index upsample_nearest1d upsample_nearest2d upsample_nearest3d
        _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d""",
    "put": "index_copy index_fill masked_fill masked_scatter",
    "backward of a view or a lookup": """
        diagonal_backward fractional_max_pool2d_backward fractional_max_pool3d_backward masked_scatter_backward
        max_pool2d_with_indices_backward max_pool3d_with_indices_backward select_backward slice_backward""",
    "make": """
        arange empty empty_like empty_permuted empty_strided eye fill full full_like linspace logspace new_empty
        new_empty_strided new_full new_ones new_zeros ones ones_like scalar_tensor tril_indices triu_indices zero
        zeros zeros_like _efficientzerotensor _new_zeros_with_same_feature_meta fft_fftfreq fft_rfftfreq complex
        range bartlett_window blackman_window hamming_window hann_window kaiser_window""",
    "draw random numbers": """
        _cudnn_init_dropout_state _fill_mem_eff_dropout_mask _sample_dirichlet _standard_gamma bernoulli binomial
        cauchy exponential geometric log_normal multinomial normal normal_functional poisson rand rand_like randint
        randint_like randn randn_like random randperm uniform""",
    "change the layout": """
        _jagged_to_padded_dense_forward _nested_from_padded _nested_from_padded_tensor _nested_tensor_from_mask
        _nested_tensor_from_tensor_list _pack_padded_sequence _padded_dense_to_jagged_forward
        _sparse_coo_tensor_with_dims_and_tensors _sparse_mask_projection _to_dense _to_sparse _to_sparse_bsc
        _to_sparse_bsr _to_sparse_csc _to_sparse_csr sparse_mask to_mkldnn to_padded_tensor""",
    "sort out": "_unique _unique2 unique_consecutive unique_dim unique_dim_consecutive",
    "ask": """
        _assert_async _fused_sdp_choice _local_scalar_dense _nested_tensor_from_mask_left_aligned equal
        is_same_size record_stream _linalg_check_errors""",
}

#: The names of all operators that only move or make data.
MOVEMENT = {name for names in TABLE.values() for name in names.split()}

#: Namespaces in which all operators move: copies of shards, and prims, which compute shapes.
_NAMESPACES = {"fsdp", "prim", "prims", "profiler"}

#: What waits for other processes, or asks for their group.
_WAITS = {
    "c10d::barrier", "c10d::check_for_nan", "c10d::monitored_barrier_", "_c10d_functional::wait_tensor",
    "_c10d_functional::_wrap_tensor_autograd", "_dtensor::mesh_get_process_group",
}  # fmt: skip

#: PyTorch's marks of operators that change a view's shape in place, or copy a view.
_MARKS = {torch.Tag.inplace_view, torch.Tag.view_copy}


def moves(operator: OpOverload) -> bool:
    """Tell whether an operator only moves or makes data."""
    return (
        operator.is_view
        or operator.namespace in _NAMESPACES
        or operator._schema.name in _WAITS
        or bare(operator._schema.name).removeprefix("aten::") in MOVEMENT
        or not _MARKS.isdisjoint(operator.tags)
    )
