"""The rules by which operators are counted, in one table.

Importing the table fills it: products, convolutions, attention and recurrent
layers contract; pointwise arithmetic is counted apart; movement is zero.
"""

from flopbook.operators import (  # noqa: F401  (importing them fills the table)
    attention,
    convolution,
    normalization,
    optimizers,
    pointwise,
    products,
    recurrent,
    scattering,
    windows,
)
from flopbook.operators.movement import MOVEMENT
from flopbook.operators.table import CONTRACTIONS, POINTWISE, flop_rule

__all__ = ["CONTRACTIONS", "MOVEMENT", "POINTWISE", "flop_rule"]
