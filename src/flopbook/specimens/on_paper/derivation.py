"""Hold what was derived for a specimen: products, and sizes that follow from others."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from sympy import Expr

from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, flops
from flopbook.predict.values import evaluate

#: A size as it follows from others, such as 3*E*H.
Size: TypeAlias = Expr | int


@dataclass(frozen=True)
class Derivation:
    """Holds the products of one step.

    Attributes
    ----------
    step : TrainingStep
        Forward and backward pass.
    fused : tuple of Product
        The scores that fused attention computes again on its way back, since
        it keeps none; part of the backward pass.
    recomputed : tuple of Product
        What a checkpoint runs again.
    letters : mapping of str to sympy.Expr
        The sizes that follow from those of the model.
    """

    step: TrainingStep
    fused: tuple[Product, ...] = ()
    recomputed: tuple[Product, ...] = ()
    letters: Mapping[str, Size] = field(default_factory=dict)

    @property
    def phases(self) -> dict[str, tuple[Product, ...]]:
        """Return the products of each phase; those of fused attention are among the backward ones."""
        backward = *self.step.backward, *self.fused
        return {"forward": self.step.forward, "backward": backward, "recomputed": self.recomputed}

    def sizes(self, of_model: Mapping[str, int]) -> dict[str, int]:
        """Give every letter its size, from the sizes of the model."""
        follow = {letter: int(evaluate(size, of_model)) for letter, size in self.letters.items()}
        return {**of_model, **follow}

    def flops(self, phase: str, of_model: Mapping[str, int]) -> int:
        """Predict the FLOPs of one phase."""
        return int(evaluate(flops(self.phases[phase]), self.sizes(of_model)))
