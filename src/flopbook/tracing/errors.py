"""What a trace raises where there is no formula."""

from collections.abc import Collection, Mapping, Set

import sympy
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode

from flopbook.tracing.source_lines import Line

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


def no_polynomial(
    symbol: sympy.Symbol, totals: Mapping[int, sympy.Expr], examples: Mapping[sympy.Symbol, int], place: Line
) -> NoPolynomialError:
    """No polynomial goes through the FLOPs at these sizes of a letter."""
    found = ", ".join(f"{total.subs(examples)} at {size}" for size, total in totals.items())
    said = f"no polynomial in {symbol} gives the FLOPs: {place} takes {symbol} for a plain number, and they are {found}"
    rounded = {letter for total in totals.values() for part in total.atoms(sympy.floor) for letter in part.free_symbols}
    return NoPolynomialError(f"{said}. {remedy(symbol)}", [symbol], rounded)


def one_size(symbol: sympy.Symbol, name: str, size: int, place: Line) -> NoPolynomialError:
    """The model runs with one size of a letter only."""
    return NoPolynomialError(
        f"{place} runs with no other {name} than {size}: write {size}, and leave {name} out", [symbol]
    )


def refused_sizes(
    sizes: Mapping[sympy.Symbol, int], unlike: Collection[sympy.Symbol], place: Line
) -> NoPolynomialError:
    """The model refuses sizes that were needed, some of which are unlike those at which it runs."""
    listed = ", ".join(f"{symbol}={size}" for symbol, size in sizes.items())
    return NoPolynomialError(f"no formula was found, since {place} refuses {listed}. {remedy(*unlike)}", unlike)
