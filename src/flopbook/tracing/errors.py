"""What a trace raises where there is no formula."""

from collections.abc import Collection

import sympy


class FormulaError(ValueError):
    """A model whose FLOPs are no formula of the letters; the message names the line and says why."""


class NoPolynomialError(FormulaError):
    """The FLOPs are no polynomial of some letters; they may be one where these are multiples."""

    def __init__(self, message: str, symbols: Collection[sympy.Symbol]):
        rounded = " or ".join(map(str, symbols)) or "a size"
        super().__init__(f"{message}. If the model rounds {rounded}, give an example size that needs no rounding")
        self.symbols = symbols
