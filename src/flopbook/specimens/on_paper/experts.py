"""Derive feed-forward parts of experts, of which each token meets a few."""

from fractions import Fraction

from flopbook.predict.axes import B, F, K, T
from flopbook.predict.models.experts import X, experts_layer, slots
from flopbook.predict.steps import training_step
from flopbook.specimens.on_paper.derivation import Derivation


def grouped() -> Derivation:
    """Derive gated experts, one of them shared; as many rows as tokens choose experts."""
    step = training_step(*experts_layer(gated=True, shared=True).forward, data=("n", "m"))
    return Derivation(step, letters={"M": B * T * K, "J": F})


def in_slots() -> Derivation:
    """Derive experts with a quarter more slots than rows."""
    step = training_step(*experts_layer().forward, data=("n", "m"))
    return Derivation(step, letters={"M": X * slots(Fraction(5, 4))})
