"""Say why a trace finds no formula."""

from collections.abc import Collection, Mapping, Set

import sympy
from torch._subclasses.fake_tensor import DataDependentOutputException, DynamicOutputShapeException

from flopbook.tracing.source_lines import Line

#: PyTorch raises one of these where it would need a tensor's values.
DATA = DataDependentOutputException, DynamicOutputShapeException


class FormulaError(ValueError):
    """Say that a model's FLOPs are not a formula of the letters, with the line and the reason."""


class TooLongError(FormulaError):
    """Say that a trace takes too many operators."""


class NoPolynomialError(FormulaError):
    """Say that the FLOPs are not a polynomial of some letters.

    They may be one where these letters, or those that the model rounds, are multiples of something.
    """

    def __init__(self, message: str, symbols: Collection[sympy.Symbol], rounded: Set[sympy.Symbol] = frozenset()):
        super().__init__(message)
        self.symbols, self.rounded = symbols, rounded


def remedy(*symbols: sympy.Symbol) -> str:
    """Say what helps where a model rounds a size.

    >>> remedy(sympy.Symbol("D"))
    'If the model rounds D, give an example size that needs no rounding'
    """
    return f"If the model rounds {' or '.join(map(str, symbols))}, give an example size that needs no rounding"


def depends_on_data(line: Line) -> FormulaError:
    """Say that a line needs the values of a tensor."""
    return FormulaError(
        f"{line} depends on the data, so its FLOPs are not a formula of the sizes. "
        "Count one batch with flopbook.measure.FlopCount, or give build a model in which the sizes alone decide"
    )


def too_long(most: int, sizes: Mapping[sympy.Symbol, int], sampled: Mapping[sympy.Symbol, Line]) -> TooLongError:
    """Say that the model, run at these sizes of the letters that are sampled, has too many operators."""
    if not sampled:
        return TooLongError(
            f"the model has more than {most:,} operators: trace one of its layers, or count it with "
            "flopbook.measure.FlopCount"
        )
    taken = " and ".join(f"{line} takes {symbol} for a plain number" for symbol, line in sampled.items())
    listed = ", ".join(f"{symbol}={size}" for symbol, size in sizes.items())
    return TooLongError(
        f"no formula was found within {most:,} operators: {taken}, and the model is too large at {listed}. "
        f"Write a number in build in place of {' or '.join(map(str, sampled))}"
    )


def no_polynomial(
    symbol: sympy.Symbol, totals: Mapping[int, sympy.Expr], examples: Mapping[sympy.Symbol, int], line: Line
) -> NoPolynomialError:
    """Say that no polynomial goes through the FLOPs at these sizes of a letter."""
    found = ", ".join(f"{total.subs(examples)} at {size}" for size, total in totals.items())
    said = f"no polynomial in {symbol} gives the FLOPs: {line} takes {symbol} for a plain number, and they are {found}"
    rounded = {letter for total in totals.values() for part in total.atoms(sympy.floor) for letter in part.free_symbols}
    return NoPolynomialError(f"{said}. {remedy(symbol)}", [symbol], rounded)


def one_size(symbol: sympy.Symbol, name: str, size: int, line: Line) -> NoPolynomialError:
    """Say that the model runs with one size of a letter only."""
    return NoPolynomialError(
        f"{line} runs with no other {name} than {size}: write {size}, and leave {name} out", [symbol]
    )


def refused_sizes(sizes: Mapping[sympy.Symbol, int], unlike: Collection[sympy.Symbol], line: Line) -> NoPolynomialError:
    """Say that the model refuses sizes that were needed, some of which are unlike those at which it runs."""
    listed = ", ".join(f"{symbol}={size}" for symbol, size in sizes.items())
    return NoPolynomialError(f"no formula was found, since {line} refuses {listed}. {remedy(*unlike)}", unlike)
