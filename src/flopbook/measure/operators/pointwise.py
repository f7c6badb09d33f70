"""Pointwise arithmetic, counted apart from contractions.

The convention: an operator does one operation for each element of its result
(a reduction, for each element it reduces), whether that is an addition or an
exponential. The rules below are for operators that do more than one. Results
that are not floating-point numbers (comparisons, indices) take no FLOPs.
"""

import torch
from torch import Tensor

from flopbook.measure.operators.registry import aten, pointwise_rule

_NUMBERS = {
    dtype
    for dtype in vars(torch).values()
    if isinstance(dtype, torch.dtype) and (dtype.is_floating_point or dtype.is_complex)
}


def elements(value) -> int:
    """Floating-point elements of a tensor, or of all tensors in a list."""
    if isinstance(value, Tensor):
        return value.numel() if value.dtype in _NUMBERS else 0
    if isinstance(value, (list, tuple)):
        return sum(map(elements, value))
    return 0


def of_result(out, *_, **__) -> int:
    """One operation for each element of the result."""
    return out.numel() if type(out) is Tensor and out.dtype in _NUMBERS else elements(out)  # the first is quicker


def of_input(out, first, *_, **__) -> int:
    """One operation for each element of the first argument, which a reduction reduces; none if it gives indices."""
    return elements(first) if out is None or elements(out) else 0


def _times(operations: int) -> str:
    return "1 operation" if operations == 1 else f"{operations} operations"


def per_element(operations: int, *operators) -> None:
    """Say that `operators` do so many operations for each element of their first argument."""

    def rule(out, first, *_, **__):
        return operations * elements(first)

    rule.__doc__ = f"{_times(operations)} for each element."
    pointwise_rule(*operators)(rule)


def per_result(operations: int, *operators) -> None:
    """Say that `operators` do so many operations for each element of their result."""

    def rule(out, *_, **__):
        return operations * elements(out)

    rule.__doc__ = f"{_times(operations)} for each element of the result."
    pointwise_rule(*operators)(rule)


def _both(*names: str):
    """Operators with their in-place and their list variants, where there are such."""
    for name in names:
        for variant in (name, f"{name}_", f"_foreach_{name}", f"_foreach_{name}_"):
            if hasattr(aten, variant):
                yield getattr(aten, variant)


@pointwise_rule(*_both("add", "sub", "rsub"))
def add(out, first, *_, alpha=1, **__):
    """An addition, after a multiplication where the second operand is scaled."""
    return (1 + (alpha != 1)) * elements(first if out is None else out)


@pointwise_rule(*_both("addcmul", "addcdiv"))
def add_product(out, first, second, third, scale=1, *, value=1):
    """Multiply or divide, add, and scale in between where the scale is not 1."""
    scaled = not isinstance(scale, (int, float)) or scale != 1 or value != 1
    return (2 + scaled) * elements(first)


per_element(3, *_both("lerp"))
per_element(2, *_both("norm"), aten.linalg_vector_norm)
per_element(2, aten.native_dropout, aten._fused_dropout)
per_element(3, aten.mse_loss)
per_element(4, aten.var, aten.std, aten.var_mean, aten.std_mean)


# maximum, subtract, exponential, sum, divide (or subtract the logarithm)
per_element(5, aten._softmax, aten._safe_softmax, aten._log_softmax)
# multiply (or exponential), sum, subtract, multiply
per_element(4, aten._softmax_backward_data, aten._log_softmax_backward_data)


@pointwise_rule(
    aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_, aten.addmv, aten.addmv_, aten.addbmm, aten.addbmm_,
    aten._addmm_activation,
)  # fmt: skip
def add_bias(out, *_, **__):
    """Adding the bias: one for each element of the result."""
    return elements(out)


@pointwise_rule(aten.convolution, aten._convolution)
def convolution_bias(out, image, weight, bias=None, *_, **__):
    """Adding the bias, where there is one."""
    return 0 if bias is None else elements(out)


@pointwise_rule(aten.convolution_backward)
def convolution_bias_backward(out, grad, *arguments, **__):
    """Adding up the gradient of the bias, where it is needed."""
    return elements(grad) if arguments[-1][2] else 0


@pointwise_rule(aten.nll_loss_forward, aten.nll_loss_backward, aten.nll_loss2d_forward, aten.nll_loss2d_backward)
def nll_loss(out, *tensors, **__):
    """One operation for each target; the other elements are only looked up or left zero."""
    return next(t.numel() for t in tensors if not t.is_floating_point())


# one operation an element, though PyTorch does not tag them so
pointwise_rule(
    *_both("elu", "softplus", "hardswish", "hardtanh", "leaky_relu", "prelu", "mish", "silu"),
    aten.elu_backward, aten.softplus_backward, aten.hardswish_backward, aten.hardtanh_backward,
    aten.hardsigmoid_backward, aten.leaky_relu_backward, aten.mish_backward, aten.glu, aten.glu_backward,
    aten._prelu_kernel, aten._prelu_kernel_backward, aten.log_sigmoid_forward, aten.log_sigmoid_backward,
    aten.rrelu_with_noise, aten.rrelu_with_noise_, aten.rrelu_with_noise_backward, aten.polar,
    aten.floor_divide, aten.floor_divide_, aten.avg_pool2d_backward, aten.avg_pool3d_backward,
    aten._adaptive_avg_pool2d_backward, aten._adaptive_avg_pool3d_backward,
    aten.adaptive_max_pool2d_backward, aten.adaptive_max_pool3d_backward,
    aten.smooth_l1_loss_backward, aten.huber_loss_backward,
    aten.binary_cross_entropy_backward, aten.hardshrink_backward, aten.softshrink_backward,
)(of_result)  # fmt: skip
pointwise_rule(
    aten.cumsum, aten.cumsum_, aten.cumprod, aten.logcumsumexp, aten.cummax, aten.cummin, aten.max, aten.min,
    aten._adaptive_avg_pool2d, aten._adaptive_avg_pool3d, aten.adaptive_max_pool2d, aten.adaptive_max_pool3d,
    aten.median, aten.nanmedian, aten.mode, aten.kthvalue, aten.histc, aten.col2im,
    aten.unfold_backward, aten.embedding_dense_backward, aten._amp_foreach_non_finite_check_and_unscale_,
    aten._amp_update_scale_,
)(of_input)  # fmt: skip
per_element(3, aten.smooth_l1_loss, aten.huber_loss, aten.logsumexp, aten.dist, aten.renorm)
per_element(5, aten.binary_cross_entropy, aten.binary_cross_entropy_with_logits)
per_element(5, aten.soft_margin_loss, aten.multi_margin_loss)
per_result(3, aten.soft_margin_loss_backward, aten.multi_margin_loss_backward)


@pointwise_rule(aten._cdist_forward, aten._pdist_forward)
def distances(out, first, *_, **__):
    """Difference, its power and the sum: 3 for each pair and coordinate."""
    return 3 * elements(out) * first.shape[-1]


@pointwise_rule(aten._cdist_backward, aten._pdist_backward)
def distances_backward(out, grad, first, *_, **__):
    """Difference, its share of the distance and the sum: 3 for each pair and coordinate."""
    return 3 * elements(grad) * first.shape[-1]


# the difference and twice it over the number of elements; an outer product and a sum
per_result(2, aten.mse_loss_backward, aten.addr)
# two products and their difference
per_result(3, aten.linalg_cross)


@pointwise_rule(aten.trace)
def trace(out, matrix):
    """One addition for each element of the diagonal."""
    return min(matrix.shape) if elements(out) else 0
