"""What a trace raises where there is no formula."""

from collections.abc import Collection, Set

import sympy
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

#: What PyTorch raises where it would need a tensor's values.
DATA = DataDependentOutputException, DynamicOutputShapeException, GuardOnDataDependentSymNode


class FormulaError(ValueError):
    """A model whose FLOPs are no formula of the letters; the message names the line and says why."""


class NoPolynomialError(FormulaError):
    """The FLOPs are no polynomial of some letters; they may be one where these, or the rounded ones, are multiples."""

    def __init__(self, message: str, symbols: Collection[sympy.Symbol], rounded: Set[sympy.Symbol] = frozenset()):
        super().__init__(message)
        self.symbols, self.rounded = symbols, rounded


def remedy(*symbols: sympy.Symbol) -> str:
    """What helps where a model rounds a size.

    >>> remedy(sympy.Symbol("D"))
    'If the model rounds D, give an example size that needs no rounding'
    """
    return f"If the model rounds {' or '.join(map(str, symbols))}, give an example size that needs no rounding"
