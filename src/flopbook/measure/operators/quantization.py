"""Count quantized layers, which multiply integers, and fake quantization, which rounds.

Two operations on integers are one multiply-accumulate, as of floating-point
numbers; they are not FLOPs and have a column of their own. A layer that is
quantized dynamically rounds its input, multiplies integers and returns
floating-point numbers.
"""

import math
from typing import Any

import torch

from flopbook.measure.operators.arithmetic import each_element, each_result, unseen
from flopbook.measure.operators.names import contraction, integer

each_element(
    "scale, round, shift, minimum, maximum, shift back, scale back",
    "fake_quantize_per_tensor_affine_cachemask", "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams",
    "fake_quantize_per_channel_affine_cachemask", "_fake_quantize_learnable_per_tensor_affine",
    "_fake_quantize_learnable_per_channel_affine",
)  # fmt: skip
each_element(
    "minimum of all, maximum of all, scale, round, shift, minimum, maximum, shift back, scale back",
    "_fused_moving_avg_obs_fq_helper",
)
each_element(
    "mask, difference for the scale, multiply, sum, mask for the zero, multiply, sum",
    "_fake_quantize_learnable_per_tensor_affine_backward",
    "_fake_quantize_learnable_per_channel_affine_backward",
)
each_result("subtract, scale", "dequantize")


@integer(
    "quantized::linear", "quantized::linear_relu", "quantized::linear_leaky_relu", "quantized::linear_tanh",
    "quantized::linear_dynamic", "quantized::linear_relu_dynamic",
)  # fmt: skip
def linear(out, data, weight, *_, **__):
    """2 operations for each element of the result and of the axis that data and weight share."""
    return 2 * out.numel() * data.shape[-1]


@contraction("quantized::linear_dynamic_fp16", "quantized::linear_relu_dynamic_fp16")
def half_linear(out, data, weight, *_, **__):
    """2 for each element of the result and of the axis that data and weight share, whose weight is kept in 16 bits."""
    return 2 * out.numel() * data.shape[-1]


@integer("_dyn_quant_matmul_4bit")
def four_bit_product(out, data, weight, block, width, height, *_, **__):
    """2 operations for each element of the result and of the axis that data and weight share."""
    return 2 * out.numel() * width


@integer(
    *(f"quantized::conv{n}d{kind}" for n in (1, 2, 3) for kind in ("", "_relu", "_dynamic")),
    "quantized::conv2d_add", "quantized::conv2d_add_relu",
)  # fmt: skip
@unseen
def convolution(out, image, *packed, **__):
    """2 operations for each element of the result and tap of the weight that it meets."""
    weights: Any = next(thing for thing in packed if isinstance(thing, torch.ScriptObject))
    weight, _bias = weights.unpack()
    return 2 * out.numel() * math.prod(weight.shape[1:])


def _layers(out, data, gates: int, layers: int, bidirectional: bool) -> int:
    """Count a recurrent net, which multiplies data and state by all gates' weights."""
    result = out[0]
    tokens, directions = result.numel() // result.shape[-1], 2 if bidirectional else 1
    H = result.shape[-1] // directions
    widths = [data.shape[-1]] + [directions * H] * (layers - 1)
    return sum(2 * tokens * directions * gates * H * (width + H) for width in widths)


def _read(arguments) -> tuple[int, bool]:
    """Read the number of layers, and whether they run in both directions."""
    place = next(n for n, thing in enumerate(arguments) if isinstance(thing, bool))
    _has_biases, layers, _dropout, _train, bidirectional, *_ = arguments[place:]
    return layers, bidirectional


@integer("quantized_lstm")
def lstm(out, data, *rest, **__):
    """2 operations for each step, sample and weight, in every layer and direction."""
    return _layers(out, data, 4, *_read(rest))


@integer("quantized_gru")
def gru(out, data, *rest, **__):
    """2 operations for each step, sample and weight, in every layer and direction."""
    return _layers(out, data, 3, *_read(rest))


@integer("quantized::quantized_lstm_cell_dynamic")
def lstm_cell(out, data, state, *_, **__):
    """2 operations for each sample and weight of the four gates."""
    B, H = state[0].shape
    return 2 * B * 4 * H * (data.shape[1] + H)


@integer("quantized::quantized_gru_cell_dynamic")
def gru_cell(out, data, state, *_, **__):
    """2 operations for each sample and weight of the three gates."""
    B, H = state.shape
    return 2 * B * 3 * H * (data.shape[1] + H)


@integer("quantized::quantized_rnn_tanh_cell_dynamic", "quantized::quantized_rnn_relu_cell_dynamic")
def rnn_cell(out, data, state, *_, **__):
    """2 operations for each sample and weight."""
    B, H = state.shape
    return 2 * B * H * (data.shape[1] + H)
