"""Count operators by their rules, which stand in one table.

Importing the table fills it: products, convolutions, attention and recurrent
layers contract; pointwise arithmetic is counted apart; movement is zero.
"""

from flopbook.measure.operators import (
    attention,
    communication,
    convolution,
    distances,
    losses,
    normalization,
    optimizers,
    pointwise,
    pooling,
    products,
    quantization,
    recurrent,
    scattering,
    solvers,
    transforms,
)
from flopbook.measure.operators.coverage import coverage
from flopbook.measure.operators.movement import MOVEMENT
from flopbook.measure.operators.registry import CONTRACTIONS, POINTWISE, flop_rule

__all__ = ["CONTRACTIONS", "MOVEMENT", "POINTWISE", "coverage", "flop_rule"]
