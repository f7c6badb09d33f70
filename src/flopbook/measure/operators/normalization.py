"""Count norms of layers, groups, batches and weights: pointwise arithmetic."""

from flopbook.measure.operators.arithmetic import each_element, elements
from flopbook.measure.operators.names import pointwise


def _normalise(first, weight) -> int:
    return (4 if weight is None else 5) * elements(first)


@pointwise("native_layer_norm")
def layer_norm(out, first, shape, weight=None, *_, **__):
    """4 for each element: mean, subtract, square and its mean, scale; 5 with a weight and a bias."""
    return _normalise(first, weight)


@pointwise("native_group_norm")
def group_norm(out, first, weight=None, *_, **__):
    """4 for each element: mean, subtract, square and its mean, scale; 5 with weights and biases of the channels."""
    return _normalise(first, weight)


@pointwise("native_batch_norm", "_native_batch_norm_legit", "cudnn_batch_norm", "miopen_batch_norm")
def batch_norm(out, first, weight, bias, mean, variance, training, *_):
    """5 for each element in training, 2 in evaluation, where the statistics are given; 1 less without a weight."""
    if training is False:  # a call without running statistics has a number in its place
        return (1 if weight is None else 2) * elements(first)
    return _normalise(first, weight)


@pointwise("_native_batch_norm_legit_no_training")
def batch_norm_of_evaluation(out, first, weight=None, *_, **__):
    """2 for each element: scale and shift by given statistics; 1 without a weight."""
    return (1 if weight is None else 2) * elements(first)


# twice the forward: the gradient of the input through mean and variance, those of weight and bias
each_element(
    "sum, sum of products, subtract, multiply, subtract, multiply, scale, multiply, sum for weight, sum for bias",
    "native_layer_norm_backward",
    "native_group_norm_backward",
    "native_batch_norm_backward",
    "cudnn_batch_norm_backward",
    "miopen_batch_norm_backward",
)
each_element("multiply, sum, scale, multiply, subtract, scale, multiply, sum", "_fused_rms_norm_backward")


@pointwise("_fused_rms_norm")
def rms_norm(out, first, shape, weight=None, *_, **__):
    """3 for each element: square and its mean, scale; 4 with a weight."""
    return (3 if weight is None else 4) * elements(first)


each_element("square, sum, scale", "_weight_norm_interface")
each_element("multiply, sum, scale, multiply, subtract, scale", "_weight_norm_interface_backward")
