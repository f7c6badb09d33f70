"""Fused optimizers, counted as the same update done parameter by parameter."""

from flopbook.measure.operators.pointwise import elements
from flopbook.measure.operators.registry import aten, pointwise_rule


def _decay(parameters, weight_decay, maximize) -> int:
    """Adding the decay to the gradient (multiply, add), and turning its sign."""
    return (2 * bool(weight_decay) + bool(maximize)) * elements(parameters)


@pointwise_rule(aten._fused_sgd_)
def sgd(
    out, parameters, gradients, buffers, *, weight_decay, momentum, dampening, nesterov, maximize,
    is_first_step, **__,
):  # fmt: skip
    """Multiply and add; momentum multiplies and adds once more, and Nesterov again."""
    operations = 2
    if momentum:
        operations += (0 if is_first_step else 2 + bool(dampening)) + 2 * bool(nesterov)
    return operations * elements(parameters) + _decay(parameters, weight_decay, maximize)


_ADAM = 13


@pointwise_rule(aten._fused_adam_)
def adam(out, parameters, *_, weight_decay=0, amsgrad=False, maximize=False, **__):
    """First moment 3, second moment 4, root, division and epsilon 3, step 3."""
    return (_ADAM + bool(amsgrad)) * elements(parameters) + _decay(parameters, weight_decay, maximize)


@pointwise_rule(aten._fused_adamw_)
def adamw(out, parameters, *_, weight_decay=0, amsgrad=False, maximize=False, **__):
    """As Adam, with the decay as one multiplication of the parameter itself."""
    operations = _ADAM + bool(amsgrad) + bool(weight_decay) + bool(maximize)
    return operations * elements(parameters)


@pointwise_rule(aten._fused_adagrad_)
def adagrad(out, parameters, *_, weight_decay=0, maximize=False, **__):
    """Sum of squares 2, root and epsilon 2, divide and step 3."""
    return 7 * elements(parameters) + _decay(parameters, weight_decay, maximize)
