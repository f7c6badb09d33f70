"""Count fused optimizers as the same update, done parameter by parameter."""

from flopbook.measure.operators.arithmetic import elements
from flopbook.measure.operators.names import pointwise, transcendental


def _decay(parameters, weight_decay, maximize) -> int:
    """Add the decay to the gradient (multiply, add), and turn its sign."""
    return (2 * bool(weight_decay) + bool(maximize)) * elements(parameters)


@pointwise("_fused_sgd_")
def sgd(
    out, parameters, gradients, buffers, *, weight_decay, momentum, dampening, nesterov, maximize,
    is_first_step, **__,
):  # fmt: skip
    """2 for each parameter: multiply, add; 2 more with momentum, and 2 more with Nesterov's."""
    operations = 2
    if momentum:
        operations += (0 if is_first_step else 2 + bool(dampening)) + 2 * bool(nesterov)
    return operations * elements(parameters) + _decay(parameters, weight_decay, maximize)


#: First moment 3, second moment 4, root, division and epsilon 3, step 3.
_ADAM = 13


@pointwise("_fused_adam_")
def adam(out, parameters, *_, weight_decay, amsgrad, maximize, **__):
    """13 for each parameter: first moment 3, second moment 4, root, division and epsilon 3, step 3."""
    return (_ADAM + bool(amsgrad)) * elements(parameters) + _decay(parameters, weight_decay, maximize)


@pointwise("_fused_adamw_")
def adamw(out, parameters, *_, weight_decay, amsgrad, maximize, **__):
    """14 for each parameter: moments 7, root, division and epsilon 3, step 3, decay 1."""
    operations = _ADAM + bool(amsgrad) + bool(weight_decay) + bool(maximize)
    return operations * elements(parameters)


@pointwise("_fused_adagrad_")
def adagrad(out, parameters, *_, weight_decay, maximize, **__):
    """7 for each parameter: sum of squares 2, root and epsilon 2, division and step 3."""
    return 7 * elements(parameters) + _decay(parameters, weight_decay, maximize)


@transcendental("_fused_adam_", "_fused_adamw_", "_fused_adagrad_")
def roots(out, parameters, *_, **__):
    """1 root for each parameter."""
    return elements(parameters)
