"""The predicting side of memory: the bytes that a training step holds.

What a backward product reads, somebody has kept: the activations follow from
the products, as the FLOPs do. Nothing here imports PyTorch.
"""

from collections.abc import Iterable
from typing import NamedTuple

import sympy

from flopbook.predict.axes import axis
from flopbook.predict.notation import Tensor
from flopbook.predict.optimizers import OPTIMIZERS, State
from flopbook.predict.steps import TrainingStep

__all__ = [
    "FLOAT32", "MIXED", "Formats", "TrainingMemory", "bytes_held", "elements", "kept",
    "training_memory",
]  # fmt: skip


class Formats(NamedTuple):
    """Bytes of one number of each kind; float32 throughout unless told.

    Attributes
    ----------
    parameters, gradients, activations, moments : int
        Bytes of a number. The moments are the optimizer's.
    master : int
        Bytes of the optimizer's own, more precise copy of a parameter; 0 if
        it has none.
    """

    parameters: int = 4
    gradients: int = 4
    activations: int = 4
    moments: int = 4
    master: int = 0


#: Numbers of 4 bytes throughout.
FLOAT32 = Formats()

#: Mixed precision: 16-bit numbers, and a float32 copy and moments for the optimizer.
MIXED = Formats(parameters=2, gradients=2, activations=2, moments=4, master=4)


_COUNTER_BYTES = 4


class TrainingMemory(NamedTuple):
    """Bytes of each kind, made by :func:`training_memory`.

    Attributes
    ----------
    parameters, gradients, optimizer, activations : sympy.Expr
        Bytes. The optimizer's are its moments, counters and master copy.
    """

    parameters: sympy.Expr
    gradients: sympy.Expr
    optimizer: sympy.Expr
    activations: sympy.Expr

    @property
    def total(self) -> sympy.Expr:
        """Bytes of all kinds together."""
        return sympy.Add(*self)


def elements(tensors: Iterable[Tensor]) -> sympy.Expr:
    """How many numbers the tensors have together.

    Examples
    --------
    >>> elements([Tensor.parse("w[D,K]"), Tensor.parse("b[K]")])
    D*K + K
    """
    return sympy.Add(*(sympy.prod(axis(name) for name in tensor.axes) for tensor in tensors))


def kept(step: TrainingStep, frozen: str | Iterable[str] = ()) -> tuple[Tensor, ...]:
    """Activations that the products of a step keep for the backward pass.

    Those are the tensors that a backward product reads and that are neither a
    gradient nor a weight. Each is kept once, however many products read it.

    Parameters
    ----------
    step : TrainingStep
        The products of both passes.
    frozen : str or iterable of str
        Weights that are not trained.

    Returns
    -------
    tuple of Tensor
        In the order in which the forward pass meets them.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    >>> y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> kept(training_step(h, y, data="x"))
    (x[B,D], h[B,H])
    >>> kept(training_step(h, y, data="x", frozen="w1"), frozen="w1")
    (h[B,H],)
    """
    weights = {tensor.name for tensor in (*_trained(step), *_frozen(step, frozen))}
    read = {tensor.name for product in step.backward for tensor in (product.left, product.right)}
    met = {tensor.name: tensor for product in step.forward for tensor in (product.left, product.right)}
    return tuple(tensor for name, tensor in met.items() if name in read - weights)


def training_memory(  # noqa: PLR0913  (each is a kind of bytes)
    step: TrainingStep,
    *,
    biases: str | Iterable[str] = (),
    also_kept: str | Iterable[str] = (),
    frozen: str | Iterable[str] = (),
    optimizer: str = "AdamW",
    formats: Formats = FLOAT32,
) -> TrainingMemory:
    """Bytes that a training step holds.

    Parameters
    ----------
    step : TrainingStep
        Every input that is neither data nor frozen is a parameter.
    biases : str or iterable of str
        Trained parameters that are in no product, such as ``b[K]``.
    also_kept : str or iterable of str
        What pointwise functions and the loss keep besides, such as ``y[B,K]``.
    frozen : str or iterable of str
        Weights that are not trained: they have neither gradient nor state.
    optimizer : str
        A name in `OPTIMIZERS`.
    formats : Formats
        Bytes of one number of each kind.

    Returns
    -------
    TrainingMemory
        Bytes of each kind, and their total.

    Raises
    ------
    ValueError
        If the optimizer is unknown, or `frozen` names no input that is left untrained.
    NotationError
        A `ValueError` that quotes a tensor that cannot be read.

    Notes
    -----
    Left out is what lives for a moment only, such as the gradient of an
    activation. Derived in the lecture *Where the memory goes*.

    Examples
    --------
    >>> from flopbook.predict import evaluate, matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
    >>> memory = training_memory(step, biases=["b[K]"], also_kept=["y[B,K]"])
    >>> memory.optimizer, memory.activations
    (8*D*K + 8*K + 8, 4*B*D + 4*B*K)
    >>> evaluate(memory.total, dict(B=256, D=5, K=64))
    76808
    """
    if optimizer not in OPTIMIZERS:
        raise ValueError(f"{optimizer!r} is no optimizer whose state is known: write one of {', '.join(OPTIMIZERS)}")
    trained = [*_trained(step), *map(Tensor.parse, _listed(biases))]
    activations = elements([*kept(step, frozen), *map(Tensor.parse, _listed(also_kept))])
    held = bytes_held(elements(trained), len(trained), activations, OPTIMIZERS[optimizer], formats)
    untrained = formats.parameters * elements(_frozen(step, frozen))
    return held._replace(parameters=sympy.expand(held.parameters + untrained))


def bytes_held(
    parameters: sympy.Expr, tensors: sympy.Expr | int, activations: sympy.Expr, state: State, formats: Formats
) -> TrainingMemory:
    """Bytes of so many trained numbers in so many tensors, and of what is kept for the backward pass.

    Parameters
    ----------
    parameters, tensors, activations : sympy.Expr
        How many there are.
    state : State
        What the optimizer keeps, such as ``OPTIMIZERS["AdamW"]``.
    formats : Formats
        Bytes of one number of each kind.

    Examples
    --------
    >>> from flopbook.predict import B, D, N
    >>> bytes_held(N, 8, B * D, OPTIMIZERS["AdamW"], MIXED)
    TrainingMemory(parameters=2*N, gradients=2*N, optimizer=12*N + 32, activations=2*B*D)
    """
    per_parameter = state.moments * formats.moments + formats.master
    return TrainingMemory(
        parameters=sympy.expand(formats.parameters * parameters),
        gradients=sympy.expand(formats.gradients * parameters),
        optimizer=sympy.expand(parameters * per_parameter + _COUNTER_BYTES * state.counters * tensors),
        activations=sympy.expand(formats.activations * activations),
    )


def _listed(names: str | Iterable[str]) -> list[str]:
    return [names] if isinstance(names, str) else list(names)


def _inputs(step: TrainingStep) -> dict[str, Tensor]:
    """The tensors that no product makes."""
    made = {product.output.name for product in step.forward}
    used = (tensor for product in step.forward for tensor in (product.left, product.right))
    return {tensor.name: tensor for tensor in used if tensor.name not in made}


def _trained(step: TrainingStep) -> list[Tensor]:
    """The inputs that get a gradient."""
    gradients = {product.output.name for product in step.backward}
    return [tensor for name, tensor in _inputs(step).items() if tensor.grad.name in gradients]


def _frozen(step: TrainingStep, names: str | Iterable[str]) -> list[Tensor]:
    names = set(_listed(names))
    trained = {tensor.name for tensor in _trained(step)}
    untrained = {name: tensor for name, tensor in _inputs(step).items() if name not in trained}
    for name in sorted(names - untrained.keys()):
        raise ValueError(
            f"{name!r} is given as frozen, but is no untrained input of the step: "
            f"those are {', '.join(untrained) or 'none'}"
        )
    return [tensor for name, tensor in untrained.items() if name in names]
