"""Predict multilayer perceptrons: linear layers and activations between them."""

from itertools import pairwise

from flopbook.checks import quoted
from flopbook.predict.axes import H, L, axis
from flopbook.predict.memory import kept
from flopbook.predict.models.model import Model, model_of
from flopbook.predict.notation import Tensor, tensors
from flopbook.predict.products import matmul
from flopbook.predict.steps import training_step

__all__ = ["linear_stack", "mlp"]


def linear_stack(*widths: str) -> Model:
    """Predict linear layers with biases, ReLU between, and mean squares as the loss.

    Parameters
    ----------
    *widths : str
        The letter of each width, from the input to the output.

    Raises
    ------
    ValueError
        If there are fewer than two, or one is not the name of an axis.

    Notes
    -----
    ReLU needs nothing but its result, which the next layer keeps anyway. Derived in the lectures *Why backward costs
    twice, and when it does not* and *Where the memory goes*.

    Examples
    --------
    >>> stack = linear_stack("D", "H", "K")
    >>> stack.parameters
    D*H + H*K + H + K
    >>> stack.forward, stack.backward
    (2*B*D*H + 2*B*H*K, 2*B*D*H + 4*B*H*K)
    """
    if len(widths) < 2:
        raise ValueError(f"linear_stack({', '.join(map(quoted, widths))}) has no layer: write linear_stack('D', 'K')")
    for width in widths:
        axis(width)
    layers = [matmul(f"h{i}[B,{D}] @ w{i}[{D},{K}] -> h{i + 1}[B,{K}]") for i, (D, K) in enumerate(pairwise(widths))]
    step = training_step(*layers, data="h0")
    biases = [Tensor(f"b{letter}", (letter,)) for letter in widths[1:]]
    by_loss = [Tensor("y", ("B", widths[-1])), Tensor("target", ("B", widths[-1]))]
    return model_of(step, [*(layer.right for layer in layers), *biases], [*kept(step), *by_loss])


def mlp() -> Model:
    """Predict a perceptron of L hidden layers of width H, like :func:`linear_stack` otherwise.

    Examples
    --------
    >>> mlp().parameters
    D*H + H*K + H + K + (H**2 + H)*(L - 1)
    """
    return linear_stack("D", "H", "K") + (L - 1) * _hidden_layer()


def _hidden_layer() -> Model:
    """Predict a layer from H numbers to H, which passes a gradient on."""
    step = training_step(matmul("h1[B,H] @ w[H,J] -> h2[B,J]"))
    return model_of(step, tensors("w[H,J] b[J]"), tensors("h1[B,H]")).at(J=H)
