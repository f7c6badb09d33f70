"""Count losses over classes: of targets, of sequences, and of chunked output layers."""

from flopbook.measure.operators.arithmetic import elements
from flopbook.measure.operators.names import contraction, pointwise, transcendental


@pointwise("nll_loss_forward", "nll_loss_backward", "nll_loss2d_forward", "nll_loss2d_backward")
def nll_loss(out, *tensors, **__):
    """1 for each target; the other elements are only looked up or left zero."""
    return next(t.numel() for t in tensors if not t.is_floating_point())


@pointwise("_ctc_loss")
def ctc_loss(out, *_, **__):
    """13 for each frame and state, padding included: the logarithm of a sum of three exponentials, and the emission.

    Two comparisons find the largest of three, which is subtracted from each;
    three exponentials are added, 2; logarithm, the largest and the emission
    are 3.
    """
    return 13 * elements(out[1])


@transcendental("_ctc_loss")
def ctc_functions(out, *_, **__):
    """4 for each frame and state: three exponentials and a logarithm."""
    return 4 * elements(out[1])


@pointwise("_ctc_loss_backward")
def ctc_loss_backward(out, grad, log_probabilities, targets, input_lengths, target_lengths, loss, alpha, *_, **__):
    """17 for each frame and state, as forward from the end and a sum by classes; 5 for each frame and class.

    The sum by classes adds both logarithms and an exponential to what the
    class has: 4. A gradient subtracts an exponential from another, with 5
    operations.
    """
    return 17 * elements(alpha) + 5 * elements(log_probabilities)


@transcendental("_ctc_loss_backward")
def ctc_functions_backward(out, grad, log_probabilities, targets, input_lengths, target_lengths, loss, alpha, *_, **__):
    """5 for each frame and state: four exponentials and a logarithm; 2 exponentials for each frame and class."""
    return 5 * elements(alpha) + 2 * elements(log_probabilities)


_CHUNKED = "torch_nn::_linear_cross_entropy_batch_chunked"
_CHUNKED_EACH = f"{_CHUNKED}_no_reduction"


@contraction(_CHUNKED)
def chunked_output_layer(out, data, weight, *rest):
    """2 for each token and weight, and as much for each gradient of input and weight, made in the same pass."""
    *_, of_data, of_weight, _of_bias = rest
    return 2 * data.shape[0] * weight.numel() * (1 + of_data + of_weight)


@pointwise(_CHUNKED)
def chunked_softmax(out, data, weight, target, bias, *rest):
    """6 for each token and class: log-softmax 5, and its gradient's scale; 1 more with a bias, 1 for its gradient."""
    *_, of_data, of_weight, of_bias = rest
    return data.shape[0] * weight.shape[0] * (5 + (of_data or of_weight) + (bias is not None) + of_bias)


@contraction(_CHUNKED_EACH)
def chunked_output_layer_of_each(out, data, weight, *_):
    """2 for each token and weight; backward, the layer runs once more, operator by operator."""
    return 2 * data.shape[0] * weight.numel()


@pointwise(_CHUNKED_EACH)
def chunked_softmax_of_each(out, data, weight, target, bias, *_):
    """5 for each token and class, of a log-softmax; 1 more with a bias."""
    return data.shape[0] * weight.shape[0] * (5 + (bias is not None))


@transcendental(_CHUNKED, _CHUNKED_EACH)
def chunked_exponentials(out, data, weight, *_):
    """1 exponential for each token and class."""
    return data.shape[0] * weight.shape[0]
