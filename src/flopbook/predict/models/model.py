"""Add up whole models on paper: parameters, FLOPs and activations as expressions in their sizes."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from fractions import Fraction

import sympy
from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.notation import Tensor
from flopbook.predict.pointwise import elements
from flopbook.predict.steps import TrainingStep, flops

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
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
    """

    parameters: Expr
    active: Expr
    tensors: Expr
    forward: Expr
    backward: Expr
    activations: Expr

    def _each(self, change: Callable[..., Expr], *others: "Model") -> "Model":
        return Model(*(change(*(getattr(model, kind.name) for model in (self, *others))) for kind in fields(self)))

    def __add__(self, other: "Model") -> "Model":
        return self._each(sympy.Add, other)

    def __rmul__(self, times: Expr | int) -> "Model":
        return self._each(lambda value: times * value)

    def at(self, **sizes: Expr | int | Fraction) -> "Model":
        """Replace some letters, and expand the expressions.

        Raises
        ------
        TypeError
            If a size is not a number or an expression; quotes it.
        """
        for name, size in sizes.items():
            if not isinstance(size, (Expr, int, Fraction)) or isinstance(size, bool):
                raise TypeError(f"{name}={quoted(size)} is not a size: write a number, or an expression such as 2 * T")
        replaced = {axis(name): size for name, size in sizes.items()}
        return self._each(lambda value: sympy.expand(value.subs(replaced)))


def model_of(step: TrainingStep, parameters: list[Tensor], activations: list[Tensor]) -> Model:
    """Make a model of a step, its trained tensors, all of which a token meets, and its activations."""
    numbers, tensors = elements(*parameters), sympy.Integer(len(parameters))
    return Model(numbers, numbers, tensors, flops(step.forward), flops(step.backward), elements(*activations))
