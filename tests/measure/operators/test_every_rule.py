"""Test every rule on tensors without data, against a count derived by hand.

Kernels of devices that this machine lacks are called in the same way as all
others. What is registered and does not stand here fails, and so does what
stands here and is not registered.
"""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from flopbook.measure.operators.coverage import KINDS, coverage, is_here
from flopbook.measure.operators.lookup import find_rule, of_the_book
from flopbook.measure.operators.movement import MOVEMENT
from flopbook.measure.operators.names import qualified
from flopbook.measure.operators.registry import COMMUNICATION

HERE = Path(__file__).parent
COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
F32, C64, INT32, INT64 = torch.float32, torch.complex64, torch.int32, torch.int64


def same(names, what):
    """Expect the same of several operators."""
    return dict.fromkeys(names.split(), what)


def t(*shape, dtype=F32):
    return torch.empty(shape, dtype=dtype, device="meta")


#: Operations for each element of the first argument, and how many of them are exponentials and the like.
EACH_ELEMENT = {
    "lerp": (3, 0), "norm": (2, 0), "linalg_vector_norm": (2, 0), "native_dropout": (2, 0), "_fused_dropout": (2, 0),
    "mse_loss": (3, 0), "dist": (3, 0), "var": (4, 0), "std": (4, 0), "var_mean": (4, 0), "std_mean": (4, 0),
    "_softmax": (5, 1), "_safe_softmax": (5, 1), "_sparse_softmax": (5, 1),
    "_log_softmax": (5, 1), "_sparse_log_softmax": (5, 1),
    "_softmax_backward_data": (4, 0), "_sparse_softmax_backward_data": (4, 0),
    "_log_softmax_backward_data": (4, 1), "_sparse_log_softmax_backward_data": (4, 1),
    "logsumexp": (3, 1), "renorm": (3, 0), "cumsum": (1, 0), "_sparse_sum": (1, 0),
    "_adaptive_avg_pool2d": (1, 0), "_adaptive_avg_pool3d": (1, 0), "col2im": (1, 0), "unfold_backward": (1, 0),
    "embedding_dense_backward": (1, 0), "histc": (1, 0), "cumprod": (1, 0),
    "_amp_foreach_non_finite_check_and_unscale_": (1, 0), "_amp_update_scale_": (1, 0), "logcumsumexp": (1, 1),
    "cummax": (1, 0), "cummin": (1, 0), "max": (1, 0), "min": (1, 0), "adaptive_max_pool2d": (1, 0),
    "adaptive_max_pool3d": (1, 0), "sort": (1, 0), "topk": (1, 0), "kthvalue": (1, 0), "median": (1, 0),
    "nanmedian": (1, 0), "mode": (1, 0), "aminmax": (2, 0), "smooth_l1_loss": (3, 0), "huber_loss": (3, 0),
    "binary_cross_entropy": (5, 2), "soft_margin_loss": (5, 2), "binary_cross_entropy_with_logits": (5, 2),
    "multi_margin_loss": (5, 0), "multilabel_margin_loss_forward": (5, 0),
    "native_layer_norm_backward": (10, 0), "native_group_norm_backward": (10, 0),
    "native_batch_norm_backward": (10, 0), "cudnn_batch_norm_backward": (10, 0), "miopen_batch_norm_backward": (10, 0),
    "_fused_rms_norm_backward": (8, 0), "_weight_norm_interface": (3, 0), "_weight_norm_interface_backward": (6, 0),
    "upsample_nearest1d_backward": (1, 0), "upsample_nearest2d_backward": (1, 0), "upsample_nearest3d_backward": (1, 0),
    "_upsample_nearest_exact1d_backward": (1, 0), "_upsample_nearest_exact2d_backward": (1, 0),
    "_upsample_nearest_exact3d_backward": (1, 0),
    "reflection_pad1d_backward": (1, 0), "reflection_pad2d_backward": (1, 0), "reflection_pad3d_backward": (1, 0),
    "replication_pad1d_backward": (1, 0), "replication_pad2d_backward": (1, 0), "replication_pad3d_backward": (1, 0),
    "fake_quantize_per_tensor_affine_cachemask": (7, 0),
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": (7, 0),
    "fake_quantize_per_channel_affine_cachemask": (7, 0), "_fake_quantize_learnable_per_tensor_affine": (7, 0),
    "_fake_quantize_learnable_per_channel_affine": (7, 0), "_fused_moving_avg_obs_fq_helper": (9, 0),
    "_fake_quantize_learnable_per_tensor_affine_backward": (7, 0),
    "_fake_quantize_learnable_per_channel_affine_backward": (7, 0),
}  # fmt: skip

#: Operations for each element of the result, and how many of them are exponentials and the like.
EACH_RESULT = {
    **same(
        "exp exp2 expm1 elu mish silu softplus log_sigmoid_forward elu_backward mish_backward silu_backward "
        "softplus_backward log_sigmoid_backward celu selu log log10 log1p log2 logaddexp logaddexp2 logit "
        "xlogy lgamma special_xlog1py special_entr digamma polygamma special_zeta sqrt rsqrt hypot sin cos "
        "tan asin acos atan atan2 sinc polar sinh cosh asinh acosh atanh sigmoid glu glu_backward tanh erf "
        "erfc erfinv gelu special_erfcx special_ndtri special_log_ndtr gelu_backward", (1, 1)
    ),
    **same(
        "hardswish leaky_relu prelu _prelu_kernel _prelu_kernel_backward rrelu_with_noise "
        "rrelu_with_noise_backward leaky_relu_backward hardswish_backward hardsigmoid_backward "
        "smooth_l1_loss_backward huber_loss_backward binary_cross_entropy_backward hardtanh hardtanh_backward "
        "hardshrink_backward softshrink_backward floor_divide avg_pool2d_backward avg_pool3d_backward "
        "_adaptive_avg_pool2d_backward _adaptive_avg_pool3d_backward adaptive_max_pool2d_backward "
        "adaptive_max_pool3d_backward", (1, 0)
    ),
    "mse_loss_backward": (2, 0), "addr": (2, 0), "linalg_cross": (3, 0), "soft_margin_loss_backward": (3, 1),
    "multi_margin_loss_backward": (3, 0), "multilabel_margin_loss_backward": (3, 0), "dequantize": (2, 0),
}  # fmt: skip


def call(*arguments, **named):
    """Make the arguments of a rule, the result first."""
    return SimpleNamespace(arguments=arguments, named=named)


B, H, T, S, E, V = 2, 3, 5, 7, 4, 6
Q, K, VALUES = t(B, H, T, E), t(B, H, S, E), t(B, H, S, V)
GRAD, STATS = t(B, H, T, V), t(B, H, T)
PAIRS = B * H * T * S
SEEN = B * H * (1 + 2 + 3 + 4 + 5)  # of 7 keys, the first query sees 1, the fifth 5
UNSEEN = PAIRS - SEEN
FORWARD, BACKWARD, SCORES = 2 * E + 2 * V, 6 * E + 4 * V, 2 * E
ENDS = torch.tensor([0, 2, 5], dtype=INT32)  # two sequences, of 2 and of 3 queries
KEY_ENDS = torch.tensor([0, 4, 7], dtype=INT32)  # and of 4 and of 3 keys
PACKED = t(5, H, E), t(7, H, E), t(7, H, V)
PACKED_PAIRS = H * (2 * 4 + 3 * 3)
LAST_BACK = H * ((3 + 4) + (1 + 2 + 3))  # the last query of each sequence sees its last key
PACKED_UNSEEN = PACKED_PAIRS - LAST_BACK
SOFTMAX_BACK = 2 * B * H * T * V
PACKED_SOFTMAX_BACK = 2 * 5 * H * V


def fused(arguments):
    """Make a call of a padded causal kernel, forward."""
    kinds = {
        "contraction": FORWARD * PAIRS,
        "masked": FORWARD * UNSEEN,
        "pointwise": 6 * PAIRS,
        "transcendental": PAIRS,
    }
    return call(None, Q, K, VALUES, *arguments), kinds


def fused_backward(arguments):
    """Make a call of a padded causal kernel, backward."""
    kinds = {
        "contraction": BACKWARD * PAIRS, "masked": BACKWARD * UNSEEN, "remade": SCORES * PAIRS,
        "pointwise": 6 * PAIRS + SOFTMAX_BACK, "transcendental": PAIRS,
    }  # fmt: skip
    return call(None, GRAD, Q, K, VALUES, *arguments), kinds


def packed(arguments):
    """Make a call with two packed sequences, causal from the last query back."""
    kinds = {
        "contraction": FORWARD * PACKED_PAIRS, "masked": FORWARD * PACKED_UNSEEN,
        "pointwise": 6 * PACKED_PAIRS, "transcendental": PACKED_PAIRS,
    }  # fmt: skip
    return call(None, *PACKED, *arguments), kinds


def packed_backward(arguments):
    kinds = {
        "contraction": BACKWARD * PACKED_PAIRS, "masked": BACKWARD * PACKED_UNSEEN, "remade": SCORES * PACKED_PAIRS,
        "pointwise": 6 * PACKED_PAIRS + PACKED_SOFTMAX_BACK, "transcendental": PACKED_PAIRS,
    }  # fmt: skip
    return call(None, t(5, H, V), *PACKED, *arguments), kinds


FLEX_MASK = (T, S, *(torch.tensor(x, dtype=INT32) for x in ([[[1]]], [[[[0]]]])), None, None, 8, 8,
             lambda b, h, q, k: q >= k)  # fmt: skip
FLEX_GRAD = 8 * E + 6 * V  # of seven products, four are as wide as a query
RESULT = t(B, H, T, V)

ROWS = torch.tensor([3, 4], dtype=INT32)  # the ends of two groups; a fifth row is padding
SPARSE = torch.eye(4).to_sparse()  # 4 stored elements of 16
HALF = t(8, 8, dtype=torch.float16)  # what a matrix of 8 x 16 stores of which every second element is zero

LSTM = t(5, 2, 3), [t(16, 3), t(16, 4), t(16), t(16)]  # 5 steps, 2 samples, 3 numbers into 4 units
RNN_PRODUCTS = 2 * 10 * (16 * 3 + 16 * 4)
#: weights' gradients, data's, and the states' of 4 of 5 steps
RNN_BACK = RNN_PRODUCTS + 2 * 10 * 16 * 3 + 2 * 8 * 16 * 4
MEMORY = t(1, 2, 4)

CALLS = {
    # products
    **same(
        "mm bmm matmul mv dot vdot _scaled_mm _scaled_mm_v2 mkldnn_linear _weight_int8pack_mm "
        "_weight_int4pack_mm _weight_int4pack_mm_for_cpu _sparse_sparse_matmul _sparse_mm_reduce_impl hspmm "
        "_int_mm",
        (call(t(3, 5), t(3, 4), t(4, 5)), {"contraction": 2 * 3 * 4 * 5}),
    ),
    **same("addmm baddbmm addmv _addmm_activation",
        (call(t(3, 5), t(5), t(3, 4), t(4, 5)), {"contraction": 2 * 3 * 4 * 5, "pointwise": 15}),
    ),
    **same("_sparse_addmm sspaddmm", (call(t(4, 5), t(4, 5), SPARSE, t(4, 5)), {"contraction": 2 * 4 * 5})
    ),
    "addbmm": (call(t(3, 5), t(3, 5), t(2, 3, 4), t(2, 4, 5)), {"contraction": 2 * 2 * 3 * 4 * 5, "pointwise": 15}),
    "matmul_backward": (call(None, t(3, 5), t(3, 4), t(4, 5), [True, True]), {"contraction": 2 * 2 * 3 * 4 * 5}),
    "sparse_sampled_addmm": (call(SPARSE, SPARSE, t(4, 7), t(7, 4)), {"contraction": 2 * 4 * 7}),
    "_sparse_mm_reduce_impl_backward": (
        call(None, SPARSE, t(4, 5), t(4, 5), "sum", t(0), [True, True]), {"contraction": 2 * 2 * 4 * 5},
    ),
    "_sparse_semi_structured_mm": (call(t(8, 5), HALF, t(8, 1), t(16, 5)), {"contraction": 2 * 64 * 5}),
    "_sparse_semi_structured_addmm": (call(t(8, 5), t(8), HALF, t(8, 1), t(16, 5)), {"contraction": 2 * 64 * 5}),
    "_sparse_semi_structured_linear": (call(t(2, 3, 8), t(2, 3, 16), HALF, t(8, 1)), {"contraction": 2 * 64 * 6}),
    "_cslt_sparse_mm": (call(t(8, 5), t(72), t(16, 5)), {"contraction": 2 * 8 * 5 * 8}),
    "_grouped_mm": (call(t(5, 6), t(5, 8), t(2, 8, 6), ROWS), {"contraction": 2 * 4 * 8 * 6}),
    "_scaled_grouped_mm": (call(t(5, 6), t(5, 8), t(2, 8, 6), t(5), t(2, 6), ROWS), {"contraction": 2 * 4 * 8 * 6}),
    "_scaled_grouped_mm_v2": (
        call(t(5, 6), t(5, 8), t(2, 8, 6), [t(5)], [0], [0], [t(2, 6)], [0], [0], ROWS), {"contraction": 2 * 4 * 8 * 6},
    ),
    "_trilinear": (call(t(2, 5), t(2, 3), t(5, 3, 4), t(2, 4), [1, 3], [0], [1, 2], [2, 3]),
                   {"contraction": 2 * 2 * 5 * 3 * 4}),
    "affine_grid_generator": (call(t(3, 4, 5, 2), t(3, 2, 3)), {"contraction": 2 * 3 * 4 * 5 * 2 * 3}),
    "_euclidean_dist": (call(t(2, 3, 4), t(2, 3, 6), t(2, 4, 6)), {"contraction": 2 * 24 * 8}),
    "_cdist_forward": (call(t(2, 3, 4), t(2, 3, 6), t(2, 4, 6)), {"pointwise": 3 * 24 * 6}),
    "_pdist_forward": (call(t(3), t(3, 6)), {"pointwise": 3 * 3 * 6}),
    "_cdist_backward": (call(t(2, 3, 6), t(2, 3, 4), t(2, 3, 6)), {"pointwise": 3 * 24 * 6}),
    "_pdist_backward": (call(t(3, 6), t(3), t(3, 6)), {"pointwise": 3 * 3 * 6}),
    # convolutions of 4 channels to 6, 3 taps, 5 places of 2 samples
    **same("convolution _convolution convolution_overrideable",
        (call(t(2, 6, 5), t(2, 4, 7), t(6, 4, 3), t(6), [1], [0], [1], False, [0], 1),
         {"contraction": 2 * 2 * 6 * 5 * 4 * 3, "pointwise": 60}),
    ),
    "conv_tbc": (call(t(5, 2, 6), t(7, 2, 4), t(3, 4, 6), t(6)), {"contraction": 2 * 60 * 4 * 3, "pointwise": 60}),
    "convolution_backward": (
        call(None, t(2, 6, 5), t(2, 4, 7), t(6, 4, 3), [6], [1], [0], [1], False, [0], 1, [True, True, True]),
        {"contraction": 2 * 2 * 60 * 4 * 3, "pointwise": 60},
    ),
    "convolution_backward_overrideable": (
        call(None, t(2, 6, 5), t(2, 4, 7), t(6, 4, 3), [1], [0], [1], False, [0], 1, [False, True, False]),
        {"contraction": 2 * 60 * 4 * 3, "pointwise": 0},
    ),
    # attention, causal
    "_scaled_dot_product_flash_attention_for_cpu": fused([0.0, True]),
    "_scaled_dot_product_flash_attention": fused([0.0, True, False]),
    "_scaled_dot_product_efficient_attention": fused([None, True, 0.0, True]),
    "_scaled_dot_product_cudnn_attention": fused([None, True, 0.0, True, False]),
    "_scaled_dot_product_fused_attention_overrideable": fused([None, 0.0, True]),
    "_scaled_dot_product_attention_math_for_mps": fused([None, 0.0, True]),
    "_scaled_dot_product_flash_attention_for_cpu_backward": fused_backward([RESULT, STATS, 0.0, True]),
    "_scaled_dot_product_flash_attention_backward": fused_backward(
        [RESULT, STATS, None, None, T, S, 0.0, True, None, None]
    ),
    "_scaled_dot_product_efficient_attention_backward": fused_backward(
        [None, RESULT, STATS, None, None, 0.0, [True] * 4, True]
    ),
    "_scaled_dot_product_cudnn_attention_backward": fused_backward(
        [RESULT, STATS, None, None, None, None, None, T, S, 0.0, True]
    ),
    "_scaled_dot_product_fused_attention_overrideable_backward": fused_backward(
        [None, [True] * 4, RESULT, STATS, None, None, T, S, 0.0, True, None, None]
    ),
    "_flash_attention_forward": packed([ENDS, KEY_ENDS, 3, 4, 0.0, True, False]),
    "_efficient_attention_forward": packed([None, ENDS, KEY_ENDS, 3, 4, 0.0, 2]),
    "_cudnn_attention_forward": packed([None, ENDS, KEY_ENDS, 3, 4, True, 0.0, True]),
    "torch_attn::_varlen_attn": packed([ENDS, KEY_ENDS, 3, 4, True]),
    "_flash_attention_backward": packed_backward(
        [t(5, H, V), t(H, 5), ENDS, KEY_ENDS, 3, 4, 0.0, True, None, None]
    ),
    "_efficient_attention_backward": packed_backward(
        [None, t(5, H, V), ENDS, KEY_ENDS, 3, 4, t(H, 5), 0.0, None, None, 2, False]
    ),
    "_cudnn_attention_backward": packed_backward(
        [t(5, H, V), t(H, 5), None, None, None, ENDS, KEY_ENDS, 3, 4, 0.0, True]
    ),
    "torch_attn::_varlen_attn_backward": packed_backward(
        [t(5, H, V), t(H, 5), ENDS, KEY_ENDS, 3, 4, True, None]
    ),
    "higher_order::flex_attention": (
        call(None, Q, K, VALUES, None, FLEX_MASK, 1.0, {}),
        {"contraction": FORWARD * PAIRS, "masked": FORWARD * UNSEEN, "pointwise": 6 * PAIRS, "transcendental": PAIRS},
    ),
    "higher_order::flex_attention_backward": (
        call(None, Q, K, VALUES, RESULT, STATS, RESULT, None, None, None, FLEX_MASK, 1.0, {}),
        {"contraction": FLEX_GRAD * PAIRS, "masked": FLEX_GRAD * UNSEEN, "remade": (4 * E + 2 * V) * PAIRS,
         "pointwise": 6 * PAIRS + SOFTMAX_BACK, "transcendental": PAIRS},
    ),
    # 10 tokens of width 8 in 2 heads, 4 x 8 x 8 weights, 16 hidden units
    "_native_multi_head_attention": (
        call(None, t(2, 5, 8), t(2, 5, 8), t(2, 5, 8), 8, 2, None, None, None, None, torch.ones(5, 5).triu(1).bool()),
        {"contraction": 2 * 10 * 256 + 2 * 2 * 2 * 5 * 5 * 8, "masked": 2 * 2 * 2 * 10 * 8,
         "pointwise": 10 * 32 + 6 * 100, "transcendental": 100},
    ),
    "_transformer_encoder_layer_fwd": (
        call(None, t(2, 5, 8), 8, 2, *[None] * 4, True, False, 1e-5, *[None] * 4, t(16, 8), *[None] * 3,
             torch.ones(5, 5).triu(1).bool(), 0),
        {"contraction": 2 * 10 * 256 + 2 * 2 * 2 * 5 * 5 * 8 + 2 * 2 * 10 * 8 * 16, "masked": 2 * 2 * 2 * 10 * 8,
         "pointwise": 10 * 32 + 6 * 100 + 10 * (2 * 5 * 8 + 2 * 8 + 16 + 8 + 16), "transcendental": 100 + 10 * 16},
    ),
    # recurrent layers
    "mkldnn_rnn_layer": (call(None, LSTM[0], *LSTM[1]),
                         {"contraction": RNN_PRODUCTS, "pointwise": 21 * 40, "transcendental": 5 * 40}),
    "mkldnn_rnn_layer_backward": (
        call(None, LSTM[0], *LSTM[1]),
        {"contraction": RNN_BACK + 2 * 2 * 16 * 4, "pointwise": 21 * 40, "transcendental": 5 * 40},
    ),
    "_thnn_fused_lstm_cell": (call(None, t(2, 16), t(2, 16), t(2, 4)), {"pointwise": 21 * 8, "transcendental": 5 * 8}),
    "_thnn_fused_lstm_cell_backward_impl": (
        call(None, t(2, 4), t(2, 4), t(2, 4), t(2, 4)), {"pointwise": 21 * 8, "transcendental": 5 * 8},
    ),
    "_thnn_fused_gru_cell": (
        call(None, t(2, 12), t(2, 12), t(2, 4)), {"pointwise": 16 * 8, "transcendental": 3 * 8},
    ),
    "_thnn_fused_gru_cell_backward": (call(None, t(2, 4)), {"pointwise": 16 * 8, "transcendental": 3 * 8}),
    "_cudnn_rnn": (call(None, *LSTM, 4, None, MEMORY, MEMORY, 2, 4, 0, 1, False, 0.0, True, False, [], None),
                   {"contraction": RNN_PRODUCTS}),
    "_cudnn_rnn_backward": (
        call(None, *LSTM, 4, None, MEMORY, MEMORY, t(5, 2, 4), t(5, 2, 4), None, None, 2, 4, 0, 1, False, 0.0, True,
             False, [], None, t(0), [True, False, False, True]),
        {"contraction": RNN_BACK},
    ),
    "miopen_rnn": (call(None, *LSTM, 4, MEMORY, MEMORY, 2, 4, 1, False, 0.0, True, False, [], None),
                   {"contraction": RNN_PRODUCTS}),
    "miopen_rnn_backward": (
        call(None, *LSTM, 4, None, MEMORY, MEMORY, t(5, 2, 4), t(5, 2, 4), None, None, 2, 4, 1, False, 0.0, True, False,
             [], None, t(0), [True, False, False, True]),
        {"contraction": RNN_BACK},
    ),
    # solvers: n = 4, m = 6, three right-hand sides, two matrices;
    # QR of 6 x 4 takes 122 multiplications and 86 additions, its Q 84 and 68
    **same("linalg_cholesky_ex cholesky", (call(None, t(1, 2, 4, 4)), {"contraction": 2 * (64 + 24 + 2) // 3})
    ),
    **same("cholesky_solve _cholesky_solve_helper",
                    (call(t(1, 2, 4, 3), t(1, 2, 4, 3), t(1, 2, 4, 4)), {"contraction": 2 * 2 * 16 * 3})),
    "cholesky_inverse": (call(None, t(1, 2, 4, 4)), {"contraction": 2 * (256 + 48 + 20) // 6}),
    **same("linalg_lu_factor_ex linalg_lu _linalg_slogdet",
                    (call(None, t(1, 2, 4, 4)), {"contraction": 2 * (256 - 48 + 20) // 6})),
    "_linalg_det": (call(None, t(1, 2, 4, 4)), {"contraction": 2 * ((256 - 48 + 20) // 6 + 3)}),
    "linalg_lu_solve": (call(t(1, 2, 4, 3), t(1, 2, 4, 4), None, t(1, 2, 4, 3)), {"contraction": 2 * 3 * (2 * 16 - 4)}),
    "_linalg_solve_ex": (
        call((t(1, 2, 4, 3), t(1, 2, 4, 4)), t(1, 2, 4, 4), t(1, 2, 4, 3)),
        {"contraction": 2 * (38 + 3 * (2 * 16 - 4))},
    ),
    "linalg_inv_ex": (call(None, t(1, 2, 4, 4)), {"contraction": 2 * (4 * 64 - 3 * 16 + 5 * 4) // 2}),
    "geqrf": (call(None, t(1, 2, 6, 4)), {"contraction": 2 * 208}),
    "linalg_qr": (call(None, t(1, 2, 6, 4)), {"contraction": 2 * (208 + 152)}),
    "linalg_householder_product": (call(None, t(1, 2, 6, 4), t(1, 2, 4)), {"contraction": 2 * 152}),
    "ormqr": (call(None, t(6, 4), t(4), t(6, 3)), {"contraction": 4 * 3 * (2 * 12 - 8 + 3)}),
    "linalg_solve_triangular": (call(t(1, 2, 4, 3), t(1, 2, 4, 4), t(1, 2, 4, 3)), {"contraction": 2 * 16 * 3}),
    "triangular_solve": (call((t(1, 2, 4, 3), None), t(1, 2, 4, 3), t(1, 2, 4, 4)), {"contraction": 2 * 16 * 3}),
    # transforms of 8 x 3 numbers, 3 at a time 8
    "_fft_c2c": (call(None, t(3, 8, dtype=C64), [1], 0, True), {"contraction": 3 * 5 * 8 * 3}),
    "_fft_r2c": (call(None, t(3, 8), [1], 0, True), {"contraction": 3 * 5 * 8 * 3 // 2}),
    "_fft_c2r": (call(t(3, 8), t(3, 5, dtype=C64), [1], 2, 8), {"contraction": 3 * 5 * 8 * 3 // 2}),
    # losses
    **same("nll_loss_forward nll_loss2d_forward",
                    (call(None, t(3, 5), t(3, dtype=INT64), None, 1, -100), {"pointwise": 3})),
    **same("nll_loss_backward nll_loss2d_backward",
                    (call(None, t(), t(3, 5), t(3, dtype=INT64), None, 1, -100, t()), {"pointwise": 3})),
    "_ctc_loss": (call((t(2), t(2, 10, 9)), t(10, 2, 6)), {"pointwise": 13 * 180, "transcendental": 4 * 180}),
    "_ctc_loss_backward": (
        call(None, t(2), t(10, 2, 6), None, None, None, t(2), t(2, 10, 9), 0),
        {"pointwise": 17 * 180 + 5 * 120, "transcendental": 5 * 180 + 2 * 120},
    ),
    "torch_nn::_linear_cross_entropy_batch_chunked": (
        call(None, t(6, 8), t(10, 8), t(6), t(10), None, "mean", -100, 0.0, 2, "", F32, False, True, True, True),
        {"contraction": 6 * 6 * 8 * 10, "pointwise": (5 + 1 + 1 + 1) * 60, "transcendental": 60},
    ),
    "torch_nn::_linear_cross_entropy_batch_chunked_no_reduction": (
        call(None, t(6, 8), t(10, 8), t(6), t(10), None, -100, 2, "", F32),
        {"contraction": 2 * 6 * 8 * 10, "pointwise": (5 + 1) * 60, "transcendental": 60},
    ),
    # norms
    "native_layer_norm": (call(None, t(3, 4), [4], t(4), t(4)), {"pointwise": 5 * 12}),
    "native_group_norm": (call(None, t(3, 4), t(4), t(4)), {"pointwise": 5 * 12}),
    **same("native_batch_norm _native_batch_norm_legit cudnn_batch_norm miopen_batch_norm",
                    (call(None, t(3, 4), t(4), t(4), None, None, False), {"pointwise": 2 * 12})),
    "_native_batch_norm_legit_no_training": (call(None, t(3, 4), t(4), t(4)), {"pointwise": 2 * 12}),
    "_fused_rms_norm": (call(None, t(3, 4), [4], t(4)), {"pointwise": 4 * 12}),
    # pooling and interpolation: 2 images of 3 channels
    **same("avg_pool1d avg_pool2d avg_pool3d",
                    (call(t(2, 3, 5, 5), t(2, 3, 10, 15), [2, 3]), {"pointwise": 150 * 6})),
    **same("max_pool2d_with_indices max_pool3d_with_indices fractional_max_pool2d fractional_max_pool3d",
        (call((t(2, 3, 5, 5), None), t(2, 3, 10, 15), [2, 3]), {"pointwise": 150 * 6}),
    ),
    **{name: (call(t(2, 3, 5)), {"pointwise": 30 * (2 * neighbors - 1)}) for name, neighbors in (
        ("upsample_linear1d", 2), ("upsample_bilinear2d", 4), ("_upsample_bilinear2d_aa", 4),
        ("upsample_trilinear3d", 8), ("upsample_bicubic2d", 16), ("_upsample_bicubic2d_aa", 16))},
    **{f"{name}_backward": (call(t(2, 3, 4), t(2, 3, 5)), {"pointwise": 30 * 2 * neighbors}) for name, neighbors in (
        ("upsample_linear1d", 2), ("upsample_bilinear2d", 4), ("_upsample_bilinear2d_aa", 4),
        ("upsample_trilinear3d", 8), ("upsample_bicubic2d", 16), ("_upsample_bicubic2d_aa", 16))},
    "grid_sampler_2d": (call(t(2, 3, 1, 5), t(2, 3, 4, 4), t(2, 1, 5, 2), 0), {"pointwise": 30 * 7}),
    "grid_sampler_3d": (call(t(2, 3, 1, 1, 5), t(2, 3, 4, 4, 4), t(2, 1, 1, 5, 3), 0), {"pointwise": 30 * 15}),
    "grid_sampler_2d_backward": (
        call(None, t(2, 3, 1, 5), t(2, 3, 4, 4), t(2, 1, 5, 2), 2, 0, True, [True, True]), {"pointwise": 30 * 32 * 3},
    ),
    "grid_sampler_3d_backward": (
        call(None, t(2, 3, 1, 1, 5), t(2, 3, 4, 4, 4), t(2, 1, 1, 5, 3), 0, 0, True, [True, False]),
        {"pointwise": 30 * 16},
    ),
    # sums by index, of 12 elements
    **same("index_add scatter_add scatter_reduce index_reduce",
                    (call(t(9, 4), t(9, 4), 0, t(3, dtype=INT64), t(3, 4)), {"pointwise": 12})),
    **same("index_put _index_put_impl_ _unsafe_index_put put",
                    (call(t(9, 4), t(9, 4), [t(3, dtype=INT64)], t(3, 4), True), {"pointwise": 12})),
    "scatter": (call(t(9, 4), t(9, 4), 0, t(3, 4, dtype=INT64), t(3, 4), reduce="add"), {"pointwise": 12}),
    "embedding_renorm_": (call(None, t(9, 4), t(3, dtype=INT64)), {"pointwise": 36}),
    **same("_embedding_bag _embedding_bag_forward_only",
                    (call(None, t(9, 4), t(3, dtype=INT64)), {"pointwise": 12})),
    **same("_embedding_bag_backward _embedding_bag_dense_backward",
                    (call(None, t(2, 4), t(3, dtype=INT64)), {"pointwise": 12})),
    # optimizers, of 5 parameters; how each setting counts is tested against the update itself
    "_fused_sgd_": (
        call(None, [t(3), t(2)], [], [], weight_decay=0.1, momentum=0.9, dampening=0.1, nesterov=True, maximize=True,
             is_first_step=False),
        {"pointwise": 5 * (2 + 3 + 2 + 3)},
    ),
    "_fused_adam_": (
        call(None, [t(3), t(2)], weight_decay=0, amsgrad=False, maximize=False),
        {"pointwise": 5 * 13, "transcendental": 5},
    ),
    "_fused_adamw_": (
        call(None, [t(3), t(2)], weight_decay=0.1, amsgrad=False, maximize=False),
        {"pointwise": 5 * 14, "transcendental": 5},
    ),
    "_fused_adagrad_": (
        call(None, [t(3), t(2)], weight_decay=0, maximize=False), {"pointwise": 5 * 7, "transcendental": 5},
    ),
    # pointwise arithmetic that depends on its arguments, of 3 x 4 complex numbers where it can
    **same("add sub rsub", (call(t(3, 4), t(3, 4), t(4), alpha=2), {"pointwise": 24})),
    "mul": (call(t(3, 4, dtype=C64), t(3, 4, dtype=C64), 2), {"pointwise": 6 * 12}),
    "div": (call(t(3, 4, dtype=C64), t(3, 4, dtype=C64), 2), {"pointwise": 11 * 12}),
    "abs": (call(t(3, 4), t(3, 4, dtype=C64)), {"pointwise": 4 * 12, "transcendental": 12}),
    "pow": (call(t(3, 4), t(3, 4), 0.3), {"transcendental": 12}),
    **same("addcmul addcdiv", (call(t(3, 4), t(3, 4), t(4), t(4), value=2), {"pointwise": 36})),
    "trace": (call(t(), t(3, 4)), {"pointwise": 3}),
    # quantized layers
    **{f"quantized::linear{kind}": (call(t(3, 1, 5), t(3, 1, 4), None), {"integer": 2 * 3 * 4 * 5})
       for kind in ("", "_relu", "_leaky_relu", "_tanh", "_dynamic", "_relu_dynamic")},
    **{f"quantized::linear{kind}_fp16": (call(t(3, 1, 5), t(3, 1, 4), None), {"contraction": 2 * 3 * 4 * 5})
       for kind in ("_dynamic", "_relu_dynamic")},
    "_dyn_quant_matmul_4bit": (call(t(3, 5), t(3, 4), t(9), 32, 4, 5), {"integer": 2 * 3 * 4 * 5}),
    # two layers of 4 units both ways, 5 steps, 2 samples of 3 numbers
    "quantized_lstm": (call((t(5, 2, 8), None), t(5, 2, 3), [], [], True, 2, 0.0, False, True, False),
                       {"integer": 2 * 10 * 2 * 16 * (3 + 4 + 8 + 4)}),
    "quantized_gru": (call((t(5, 2, 8), None), t(5, 2, 3), t(4, 2, 4), [], True, 2, 0.0, False, True, False),
                      {"integer": 2 * 10 * 2 * 12 * (3 + 4 + 8 + 4)}),
    "quantized::quantized_lstm_cell_dynamic": (call(None, t(2, 3), [t(2, 4)] * 2), {"integer": 2 * 2 * 16 * 7}),
    "quantized::quantized_gru_cell_dynamic": (call(None, t(2, 3), t(2, 4)), {"integer": 2 * 2 * 12 * 7}),
    **{f"quantized::quantized_rnn_{kind}_cell_dynamic": (call(None, t(2, 3), t(2, 4)), {"integer": 2 * 2 * 4 * 7})
       for kind in ("tanh", "relu")},
}  # fmt: skip

#: Rules that are tested where their arguments are: in the files of their families.
ELSEWHERE = {
    "contraction": {"aten::linalg_lstsq"},
    "masked": {"aten::_safe_softmax"},
    "integer": {f"quantized::conv{n}d{kind}" for n in (1, 2, 3) for kind in ("", "_relu", "_dynamic")}
    | {"quantized::conv2d_add", "quantized::conv2d_add_relu"},
    "communication": set(COMMUNICATION),  # tests/measure/distributed/test_communication.py
}

STEPS = {name: ("element", *numbers) for name, numbers in EACH_ELEMENT.items()} | {
    name: ("result", *numbers) for name, numbers in EACH_RESULT.items()
}


@pytest.mark.parametrize("name", STEPS)
def test_as_many_operations_as_its_steps_have_words(name):
    of_what, operations, functions = STEPS[name]
    number = {"element": 6, "result": 10}[of_what]
    found = {kind: table.get(qualified(name)) for kind, table in KINDS.items()}
    assert found["pointwise"](t(10), t(6)) == operations * number
    assert (found["transcendental"](t(10), t(6)) if found["transcendental"] else 0) == functions * number


@pytest.mark.parametrize("name", CALLS)
def test_a_rule_counts_what_is_derived_by_hand(name):
    if name.startswith("torch_attn"):
        pytest.importorskip("torch.nn.attention.varlen")
    arguments, expected = CALLS[name]
    counted = {kind: table[qualified(name)](*arguments.arguments, **arguments.named)
               for kind, table in KINDS.items() if qualified(name) in table}  # fmt: skip
    assert {kind: int(flops) for kind, flops in counted.items()} == expected


def rules_of_the_book(table):
    """Return the rules of a table, without the one of `flop_rule`'s example."""
    own = {name: rule for name, rule in table.items() if of_the_book(rule)}
    return {name: rule for name, rule in own.items() if not name.startswith("flopbook_example::")}


@pytest.mark.parametrize("kind", KINDS)
def test_every_rule_stands_here_and_everything_that_stands_here_is_a_rule(kind):
    registered = rules_of_the_book(KINDS[kind]).keys()
    pinned = {qualified(name) for name, (_, expected) in CALLS.items() if kind in expected}
    if kind == "pointwise":
        pinned |= set(map(qualified, STEPS))
    if kind == "transcendental":
        pinned |= {qualified(name) for name, (_, _, functions) in STEPS.items() if functions}
    expected = pinned | ELSEWHERE.get(kind, set())
    assert registered - expected == set(), "a rule without a line in CALLS, EACH_ELEMENT or EACH_RESULT of this file"
    assert expected - registered == set(), "a line here without a rule: is its file imported in operators/__init__.py?"


#: Others lack some of these operators, and have some that are not in the list of those without a rule.
locked = pytest.mark.skipif(not torch.__version__.startswith("2.13."), reason="the names are those of PyTorch 2.13")


#: Names that came after it.
NEWER = {"c10d::gather_into_tensor_"}


@locked
def test_every_name_is_one_of_pytorchs():
    """A name that PyTorch does not know would be looked up by nothing, and missed by nobody."""
    names = [name for table in KINDS.values() for name in rules_of_the_book(table) if name not in NEWER]
    assert [name for name in [*names, *map(qualified, MOVEMENT)] if not is_here(name)] == []


def made_of_others(operator):
    return torch._C._dispatch_has_kernel_for_dispatch_key(operator.name(), COMPOSITE)


def has_rule_or_parts(name):
    """Tell whether an ATen operator has a rule in any overload, or has parts."""
    packet = getattr(torch.ops.aten, name)
    operators = (getattr(packet, overload) for overload in packet.overloads())
    return any(
        torch._C._dispatch_has_kernel_for_dispatch_key(one.name(), COMPOSITE) or find_rule(one) for one in operators
    )


@locked
def test_the_operators_without_a_rule_are_those_of_the_list():
    """So an operator that loses its rule is noticed, also one that only moves."""
    names = {each.split(".")[0][6:] for each in torch._C._dispatch_get_all_op_names() if each.startswith("aten::")}
    runs = (name for name in names if hasattr(getattr(torch.ops.aten, name, None), "overloads"))
    found, listed = (
        {name for name in runs if not has_rule_or_parts(name)},
        (HERE / "without_rule.txt").read_text().split(),
    )
    assert found - set(listed) == set(), "no rule, and not in without_rule.txt: has a rule's file lost its import?"
    assert set(listed) - found == set(), "in without_rule.txt, though there is a rule: take the name out"
    assert listed == sorted(listed)


def test_no_name_moves_that_pytorch_marks_already():
    for name in MOVEMENT:
        packet = getattr(torch.ops.aten, name, None) or getattr(torch.ops.aten, f"{name}_")
        operator = getattr(packet, packet.overloads()[0])
        assert not operator.is_view and torch.Tag.view_copy not in operator.tags, name
        assert not made_of_others(operator), name


def test_the_table_says_of_each_rule_what_it_counts():
    lines = [" ".join(line.split()) for line in str(coverage()).splitlines()]
    said = KINDS["contraction"]["aten::mm"].__doc__
    assert f"aten::mm contraction {said}" in lines
    rules = {name: rule for table in KINDS.values() for name, rule in rules_of_the_book(table).items()}
    silent = [name for name, rule in rules.items() if not rule.__doc__ or rule.__doc__.startswith(" ")]
    assert silent == [], "rules whose docstring is missing, or begins with a space"


@pytest.mark.parametrize("namespace", ["higher_order", "torch_nn", "torch_attn"])
def test_an_operator_that_pytorch_registers_late_is_here(namespace):
    assert is_here(f"{namespace}::not_yet")


def test_each_row_of_the_table_is_headed_by_its_operator():
    html = coverage("remade")._repr_html_()
    assert html.count('scope="row"') == html.count("<tr") - 1


@pytest.mark.parametrize(
    "kind",
    ["contraction", "remade", "masked", "integer", "pointwise", "transcendental", "communication", "movement"],
)
def test_the_table_shows_the_kind_that_is_named(kind):
    rows = [line.split() for line in str(coverage(kind)).splitlines()[1:]]
    assert rows
    assert {row[1] for row in rows} == {kind}


def test_a_kind_that_is_none_is_quoted():
    with pytest.raises(ValueError, match="'product' is not a kind of rule: give one of contraction, remade, masked"):
        coverage("product")
