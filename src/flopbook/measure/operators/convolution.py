"""Count convolutions in any number of dimensions, with their biases and gradients."""

import math

import torch
from torch import Tensor

from flopbook.measure.operators.arithmetic import elements, multiply_accumulate
from flopbook.measure.operators.names import contraction, pointwise


def _taps(image: Tensor, weight: Tensor, result: Tensor, transposed: bool) -> int:
    """Count the FLOPs of all taps of each element of the result, padding included.

    Transposed, each element of the input is spread over them instead.
    """
    taps = (image if transposed else result).numel() * math.prod(weight.shape[1:])
    return multiply_accumulate(weight) * taps * (2 if _real_part(image) and _real_part(weight) else 1)


def _real_part(tensor: Tensor) -> bool:
    """Tell whether a tensor is a view of the real part of a complex one.

    PyTorch runs a complex convolution as three real ones: of the real parts,
    of the imaginary parts, and of the sums of both. The formula has four, so
    the first counts for two.
    """
    whole = tensor._base
    if torch.is_inference_mode_enabled():  # where a view does not know of what it is one, but takes every second number
        of_complex = all(step % 2 == 0 for step in tensor.stride())
    else:
        of_complex = whole is not None and whole.is_complex()
    return of_complex and tensor.storage_offset() % 2 == 0


@contraction("convolution", "_convolution", "convolution_overrideable")
def convolution(out, image, weight, bias, stride, padding, dilation, transposed, *_, **__):
    """2 for each element of the result (transposed: of the input) and tap of the weight that it meets."""
    return _taps(image, weight, out, transposed)


@contraction("conv_tbc")
def convolution_of_sequences(out, sequence, weight, *_, **__):
    """2 for each element of the result and tap, with time and batch first; its gradients run as matrix products."""
    taps, channels, _ = weight.shape
    return multiply_accumulate(out) * out.numel() * taps * channels


@contraction("convolution_backward")
def convolution_backward(
    out, grad, image, weight, bias, stride, padding, dilation, transposed, extra, groups, needed, **__
):
    """2 for each element and tap, as in the forward pass, for each gradient of input and weight that is needed."""
    return (needed[0] + needed[1]) * _taps(image, weight, grad, transposed)


@contraction("convolution_backward_overrideable")
def convolution_backward_overrideable(
    out, grad, image, weight, stride, padding, dilation, transposed, extra, groups, needed, **__
):
    """2 for each element and tap for each needed gradient, on accelerators that bring their own convolution."""
    return (needed[0] + needed[1]) * _taps(image, weight, grad, transposed)


@pointwise("convolution", "_convolution", "convolution_overrideable", "conv_tbc")
def bias(out, image, weight, bias=None, *_, **__):
    """1 for each element of the result: adding the bias, where there is one."""
    return 0 if bias is None else elements(out)


@pointwise("convolution_backward", "convolution_backward_overrideable")
def bias_backward(out, grad, *arguments, **__):
    """1 for each element: adding up the gradient of the bias, where it is needed."""
    return elements(grad) if arguments[-1][2] else 0
