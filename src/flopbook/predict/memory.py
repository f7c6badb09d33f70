"""Predict the bytes that a training step holds.

What a backward product reads, somebody has kept: the activations follow from the products, as the FLOPs do.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import NamedTuple

import sympy
from sympy import Expr

from flopbook.checks import one_of, quoted
from flopbook.predict.notation import NotationError, Tensor
from flopbook.predict.optimizers import OPTIMIZERS, State
from flopbook.predict.pointwise import elements
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import number

__all__ = [
    "FLOAT32", "MIXED", "ActivationMemory", "Formats", "Part", "TrainingMemory", "activation_memory", "bytes_held",
    "kept", "training_memory",
]  # fmt: skip


@dataclass(frozen=True)
class Formats:
    """Says the bytes of one number of each kind; float32 throughout unless told.

    Attributes
    ----------
    parameters, gradients, activations, moments : int or sympy.Expr
        Bytes of a number. The moments are the optimizer's.
    master : int or sympy.Expr
        Bytes of the optimizer's own, more precise copy of a parameter; 0 if
        it has none.

    Raises
    ------
    TypeError, ValueError
        If the bytes are neither whole numbers of at least 0 nor made of axes.
    """

    parameters: Expr | int = 4
    gradients: Expr | int = 4
    activations: Expr | int = 4
    moments: Expr | int = 4
    master: Expr | int = 0

    def __post_init__(self):
        for kind in fields(self):
            number(kind.name, getattr(self, kind.name))


#: Numbers of 4 bytes throughout.
FLOAT32 = Formats()

#: Mixed precision: numbers of 16 bits, those that norms and the loss keep too; float32 for the optimizer.
MIXED = Formats(parameters=2, gradients=2, activations=2, moments=4, master=4)


_COUNTER_BYTES = 4


class TrainingMemory(NamedTuple):
    """Holds the bytes of each kind, made by :func:`training_memory`.

    Attributes
    ----------
    parameters, gradients, optimizer, activations : Expr
        Bytes. The optimizer's are its moments, counters and master copy.
    """

    parameters: Expr
    gradients: Expr
    optimizer: Expr
    activations: Expr

    @property
    def total(self) -> Expr:
        """Add up the bytes of all kinds."""
        return sympy.Add(*self)


def kept(step: TrainingStep) -> tuple[Tensor, ...]:
    """Find the activations that the products of a step keep for the backward pass.

    Those are the tensors that a backward product reads and that are neither a
    gradient nor a weight. Each is kept once, however many products read it.

    Parameters
    ----------
    step : TrainingStep
        The products of both passes.

    Returns
    -------
    tuple of Tensor
        In the order in which the forward pass meets them.

    Raises
    ------
    TypeError
        If something else than a step is given.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    >>> y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> kept(training_step(h, y, data="x"))
    (x[B,D], h[B,H])
    >>> kept(training_step(h, y, data="x", frozen="w1"))
    (h[B,H],)
    """
    _check_step(step)
    weights = {tensor.name for tensor in (*step.trained, *step.untrained)}
    read = {tensor.name for product in step.backward for tensor in (product.left, product.right)}
    met = {tensor.name: tensor for product in step.forward for tensor in (product.left, product.right)}
    return tuple(tensor for name, tensor in met.items() if name in read - weights)


def _check_step(step: object) -> None:
    if not isinstance(step, TrainingStep):
        raise TypeError(f"{quoted(step)} is not a training step: write training_step(matmul(...), data='x')")


def training_memory(
    step: TrainingStep,
    *,
    biases: str | Iterable[str] = (),
    also_kept: str | Iterable[str] = (),
    optimizer: str = "AdamW",
    formats: Formats = FLOAT32,
) -> TrainingMemory:
    """Predict the bytes that a training step holds.

    Parameters
    ----------
    step : TrainingStep
        Every input that is neither data nor frozen is a parameter. A frozen one has neither gradient nor state.
    biases : str or iterable of str
        Trained parameters that are in no product, such as ``b[K]``.
    also_kept : str or iterable of str
        What pointwise functions and the loss keep besides, such as ``y[B,K]``.
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
    TypeError
        If something else than a step, names and formats is given.
    ValueError
        If the optimizer is unknown.
    NotationError
        A `ValueError` that quotes a tensor that cannot be read, or that is given twice.

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
    _check_step(step)
    state = OPTIMIZERS[one_of("optimizer", optimizer, OPTIMIZERS)].state
    activations = kept(step)
    trained = [*step.trained, *_further("biases", biases, (*step.trained, *step.untrained))]
    numbers_kept = elements(*activations, *_further("also_kept", also_kept, activations))
    held = bytes_held(elements(*trained), len(trained), numbers_kept, state, formats)
    untrained = formats.parameters * elements(*step.untrained)
    return held._replace(parameters=sympy.expand(held.parameters + untrained))


def _further(name: str, given: str | Iterable[str], known: Iterable[Tensor]) -> list[Tensor]:
    """Read the tensors of an argument, none of which is known already."""
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Iterable):
        raise TypeError(f"{name}={quoted(given)} names no tensors: write {name}=['b[K]']")
    tensors, names = [Tensor.parse(text) for text in texts], {tensor.name for tensor in known}
    for tensor in tensors:
        if tensor.name in names:
            raise NotationError(f"{name} names {tensor}, which is held already: leave it out, or give it another name")
        names.add(tensor.name)
    return tensors


def bytes_held(
    parameters: Expr, tensors: Expr | int, activations: Expr, state: State, formats: Formats
) -> TrainingMemory:
    """Predict the bytes of trained numbers, and of what the backward pass needs.

    Parameters
    ----------
    parameters, tensors, activations : Expr
        How many there are.
    state : State
        What the optimizer keeps, such as ``OPTIMIZERS["AdamW"].state``.
    formats : Formats
        Bytes of one number of each kind.

    Examples
    --------
    >>> from flopbook.predict import B, D, N
    >>> bytes_held(N, 8, B * D, OPTIMIZERS["AdamW"].state, MIXED)
    TrainingMemory(parameters=2*N, gradients=2*N, optimizer=12*N + 32, activations=2*B*D)
    """
    if not isinstance(formats, Formats):
        raise TypeError(
            f"formats={quoted(formats)} are not formats: write FLOAT32, MIXED or Formats(parameters=2, ...)"
        )
    per_parameter = state.moments * formats.moments + formats.master
    return TrainingMemory(
        parameters=sympy.expand(formats.parameters * parameters),
        gradients=sympy.expand(formats.gradients * parameters),
        optimizer=sympy.expand(parameters * per_parameter + _COUNTER_BYTES * state.counters * tensors),
        activations=sympy.expand(formats.activations * activations),
    )


def _check_formats(formats: object) -> None:
    if not isinstance(formats, Formats):
        raise TypeError(
            f"formats={quoted(formats)} are not formats: write FLOAT32, MIXED or Formats(parameters=2, ...)"
        )


class Part(NamedTuple):
    """Says what a part of the forward pass keeps for the backward pass.

    Attributes
    ----------
    kept : str
        Tensors that are kept from the forward pass on, such as ``x[B,D] h[B,H]``; of a checkpoint, its input.
    again : str
        Tensors that the second run of a checkpoint keeps besides.
    """

    kept: str
    again: str = ""


class ActivationMemory(NamedTuple):
    """Holds the bytes of activations at two moments, made by :func:`activation_memory`.

    Attributes
    ----------
    after_forward : sympy.Expr
        When the forward pass ends.
    activations : sympy.Expr
        At the most: then, or while the backward pass runs a checkpoint again.
    """

    after_forward: Expr
    activations: Expr


def activation_memory(*parts: Part, formats: Formats = FLOAT32) -> ActivationMemory:
    """Predict the bytes of activations of a step with checkpoints.

    The backward pass goes through the parts from the last to the first. When it comes to one, those after it have let
    go what they kept, and those before it still hold it.

    Parameters
    ----------
    *parts : Part
        In the order in which the forward pass runs them. A tensor is named in the first part that keeps it.
    formats : Formats
        Bytes of one number of each kind.

    Raises
    ------
    TypeError
        If something else than parts and formats is given.
    NotationError
        A `ValueError` that quotes a tensor that cannot be read, or that is given twice.

    Examples
    --------
    A layer, two checkpoints around blocks with a GELU, and the loss:

    >>> blocks = [Part(f"h{n}[B,H]", again=f"f{n}[B,F] g{n}[B,F]") for n in (1, 2)]
    >>> memory = activation_memory(Part("x[B,D]"), *blocks, Part("y[B,H]"))
    >>> memory.after_forward
    4*B*D + 12*B*H
    >>> memory.activations
    4*Max(B*D + 3*B*H, B*D + 2*B*F + 2*B*H)
    """
    _check_formats(formats)
    held: list[Tensor] = []
    moments = [sympy.Integer(0)]
    for part in parts:
        if not isinstance(part, Part):
            raise TypeError(f"{quoted(part)} is not a part: write Part('x[B,D]'), or Part('h[B,H]', again='f[B,F]')")
        held += _further("kept", part.kept.split(), held)
        moments.append(elements(*held, *_further("again", part.again.split(), held)))
    numbers = (elements(*held), sympy.Max(*moments))
    return ActivationMemory(*(sympy.expand(formats.activations * number) for number in numbers))
