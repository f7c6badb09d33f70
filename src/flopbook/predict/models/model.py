"""Add up whole models on paper: parameters, FLOPs and activations as expressions in their sizes."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from fractions import Fraction
from typing import Self

import sympy
from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.notation import Tensor, tensors
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, flops, training_step

__all__ = ["Amounts", "Model", "piece"]


@dataclass(frozen=True)
class Amounts:
    """Adds up expressions of the same names, one by one: ``L * block + head``."""

    def _each(self, change: Callable[..., Expr], *others: Self) -> Self:
        changed = (change(*(getattr(each, kind.name) for each in (self, *others))) for kind in fields(self))
        return type(self)(*changed)

    def __add__(self, other: Self) -> Self:
        return self.plus(other)

    def __rmul__(self, times: Expr | int) -> Self:
        return self._each(lambda value: times * value)

    def plus(self, *others: Self) -> Self:
        """Add all of them at once: of many, one by one takes long."""
        return self._each(sympy.Add, *others)

    def at(self, **sizes: Expr | int | Fraction) -> Self:
        """Replace some letters, and expand the expressions.

        Raises
        ------
        TypeError
            If a size is not a number or an expression; quotes it.
        """
        for name, size in sizes.items():
            if not isinstance(size, (Expr, int, Fraction)) or isinstance(size, bool):
                raise TypeError(f"{name}={quoted(size)} is not a size: write a number, or an expression such as 2 * T")
        replaced = {axis(name): sympy.sympify(size) for name, size in sizes.items()}
        return self._each(lambda value: sympy.expand(value.xreplace(replaced)))


@dataclass(frozen=True)
class Model(Amounts):
    """Says what a model takes, as expressions in its sizes.

    Models add up, and a part can be repeated: ``L * block + head``.

    Attributes
    ----------
    parameters : sympy.Expr
        Trained numbers.
    active : sympy.Expr
        Trained numbers that one token meets: fewer than all where the token chooses among experts.
    tensors : sympy.Expr
        How many tensors hold the parameters.
    forward, backward : sympy.Expr
        FLOPs of the products of one step.
    activations : sympy.Expr
        Numbers that are kept for the backward pass.
    results : sympy.Expr
        Numbers that products give, but for scores of attention, and what a fused attention keeps of them: from these
        and the model's input, pointwise arithmetic makes the activations again.
    """

    parameters: Expr
    active: Expr
    tensors: Expr
    forward: Expr
    backward: Expr
    activations: Expr
    results: Expr


def model_of(step: TrainingStep, parameters: list[Tensor], activations: list[Tensor]) -> Model:
    """Make a model of a step, its trained tensors, all of which a token meets, and its activations."""
    numbers, tensors = elements(*parameters), sympy.Integer(len(parameters))
    scores = [Tensor(made.name, made.axes[:-1]) for made in _made(step) if made.axes[-1:] == ("S",)]
    results = elements(*(made for made in _made(step) if "S" not in made.axes), *scores[:1])
    forward, backward = flops(step.forward), flops(step.backward)
    return Model(numbers, numbers, tensors, forward, backward, elements(*activations), results)


def _made(step: TrainingStep) -> list[Tensor]:
    return [product.output for product in step.forward]


def piece(
    *products: Product, weights: str = "", kept: str = "", active: str | None = None, data: Sequence[str] = ()
) -> Model:
    """Predict a piece of a model from its products, its weights, and what it keeps.

    Parameters
    ----------
    *products : Product
        In the order of the forward pass; none where there are only weights.
    weights : str
        The trained tensors, in notation, with blanks between them.
    kept : str
        What is kept for the backward pass, in the same notation.
    active : str, optional
        The weights that a token meets; all, unless told otherwise.
    data : sequence of str
        Tensors that need no gradient.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> layer = piece(matmul("x[B,D] @ w[D,K] -> y[B,K]"), weights="w[D,K] b[K]", kept="x[B,D]")
    >>> layer.parameters, layer.forward, layer.backward
    (D*K + K, 2*B*D*K, 4*B*D*K)
    """
    step = training_step(*products, data=data) if products else TrainingStep((), ())
    whole = model_of(step, tensors(weights), tensors(kept))
    return whole if active is None else replace(whole, active=elements(*tensors(active)))
