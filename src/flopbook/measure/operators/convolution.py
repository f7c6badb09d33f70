"""Convolutions in any number of dimensions, grouped or transposed, and their gradients."""

import math

from flopbook.measure.operators.registry import aten, flop_rule


def _taps(image, weight, result, transposed: bool) -> int:
    """Each element of the result sums over the weight's taps, those on padding included.

    Transposed, each element of the input is spread over them instead.
    """
    return 2 * (image if transposed else result).numel() * math.prod(weight.shape[1:])


@flop_rule(aten.convolution, aten._convolution, aten.convolution_overrideable)
def convolution(out, image, weight, bias, stride, padding, dilation, transposed, *_, **__):
    """One multiply-accumulate for each element of the result (transposed: of the input) and tap."""
    return _taps(image, weight, out, transposed)


@flop_rule(aten.conv_tbc)
def convolution_of_sequences(out, sequence, weight, *_, **__):
    """The same, with time and batch first; its gradients run as matrix products."""
    taps, channels, _ = weight.shape
    return 2 * out.numel() * taps * channels


@flop_rule(aten.convolution_backward)
def convolution_backward(
    out, grad, image, weight, bias, stride, padding, dilation, transposed, extra, groups, needed, **__
):
    """The gradients of input and weight each cost what the forward pass did, where needed."""
    return (needed[0] + needed[1]) * _taps(image, weight, grad, transposed)


@flop_rule(aten.convolution_backward_overrideable)
def convolution_backward_overrideable(
    out, grad, image, weight, stride, padding, dilation, transposed, extra, groups, needed, **__
):
    """The same, for accelerators that bring their own convolution."""
    return (needed[0] + needed[1]) * _taps(image, weight, grad, transposed)
