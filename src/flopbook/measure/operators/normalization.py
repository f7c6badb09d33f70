"""Norms of layers, groups, batches and weights: pointwise arithmetic."""

from flopbook.measure.operators.pointwise import elements, per_element
from flopbook.measure.operators.registry import aten, pointwise_rule


def _normalise(first, weight) -> int:
    """Mean, difference, square and its mean, scaling; weight and bias are one more."""
    return (4 if weight is None else 5) * elements(first)


@pointwise_rule(aten.native_layer_norm)
def layer_norm(out, first, shape, weight=None, *_, **__):
    """Mean, difference, square and its mean, scaling: 4 for each element, 5 with a weight and a bias."""
    return _normalise(first, weight)


@pointwise_rule(aten.native_group_norm)
def group_norm(out, first, weight=None, *_, **__):
    """As a layer norm."""
    return _normalise(first, weight)


@pointwise_rule(aten.native_batch_norm, aten._native_batch_norm_legit, aten.cudnn_batch_norm)
def batch_norm(out, first, weight=None, bias=None, mean=None, variance=None, training=True, *_, **__):
    """In evaluation the statistics are given: scale and shift only, 2 an element."""
    if isinstance(training, bool) and not training:
        return (1 if weight is None else 2) * elements(first)
    return _normalise(first, weight)


# backward twice the forward: the gradient of the input through mean and variance, those of weight and bias
per_element(
    10,
    aten.native_layer_norm_backward,
    aten.native_group_norm_backward,
    aten.native_batch_norm_backward,
    aten.cudnn_batch_norm_backward,
)
per_element(8, aten._fused_rms_norm_backward)


@pointwise_rule(aten._fused_rms_norm)
def rms_norm(out, first, shape, weight=None, *_, **__):
    """Square and its mean, scaling: 3 for each element, 4 with a weight."""
    return (3 if weight is None else 4) * elements(first)


# norm 2, scale 1; backward, the gradients of both through the norm
per_element(3, aten._weight_norm_interface)
per_element(6, aten._weight_norm_interface_backward)
