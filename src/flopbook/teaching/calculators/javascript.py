"""Print SymPy expressions as exact JavaScript: quotients of whole numbers of any length."""

from functools import cache, reduce

import sympy
from sympy import Add, Expr, Integer, Max, Min, Mul, Piecewise, Pow, Rational, Symbol, ceiling, floor
from sympy.core.relational import Relational
from sympy.functions.elementary.piecewise import ExprCondPair
from sympy.logic.boolalg import Boolean
from sympy.printing.jscode import JavascriptCodePrinter
from sympy.printing.precedence import PRECEDENCE

_KNOWN = (Add, Mul, Pow, Rational, Symbol, Max, Min, floor, ceiling, Piecewise, ExprCondPair, Relational, Boolean)


class UnprintableError(ValueError):
    """Refuses an expression without an exact value, and quotes the part at fault."""


def javascript(expression: Expr, letters: list[str]) -> str:
    """Print an arrow function of `letters` that returns numerator and denominator as BigInts.

    The functions that it calls, `max`, `min`, `floor` and `ceiling`, are in `exact.js`.

    >>> B, D = sympy.symbols("B D", positive=True, integer=True)
    >>> javascript(B * D**2 / 3, ["B", "D"])
    '(B, D) => [B*(D**2n), 3n]'
    >>> javascript(ceiling(B / D), ["B", "D"])
    '(B, D) => [ceiling(B, D), 1n]'
    """
    printer = _Printer()
    arguments = ", ".join(printer.doprint(Symbol(letter)) for letter in letters)
    return f"({arguments}) => [{', '.join(map(printer.doprint, _fraction(expression)))}]"


@cache  # rows of a calculator have parts in common
def _fraction(expression: Expr) -> tuple[Expr, Expr]:
    """Split into numerator and denominator, without divisions outside `floor` and `ceiling`."""
    for part in sympy.preorder_traversal(expression):
        if not isinstance(part, _KNOWN) or (isinstance(part, Pow) and not isinstance(part.exp, Integer)):
            raise UnprintableError(f"{part} has no exact value in general: write sums, products and quotients")
    cleared = expression.replace(lambda part: isinstance(part, (Max, Min, Piecewise)), _clear)
    return sympy.fraction(sympy.together(cleared))


def _clear(part: Expr) -> Expr:
    """Turn a choice among quotients into a quotient of a choice among whole numbers."""
    if isinstance(part, Piecewise) and part.args[-1].cond is not sympy.true:
        raise UnprintableError(f"{part} has cases without a value: end it with (..., True)")
    pairs = part.args if isinstance(part, Piecewise) else [(value, None) for value in part.args]
    fractions = [_fraction(value) for value, _ in pairs]
    common = reduce(sympy.lcm, (denominator for _, denominator in fractions))
    if not common.is_positive:
        raise UnprintableError(f"{part} divides by {common}, which may be negative: write it with a positive divisor")
    values = [sympy.cancel(numerator * common / denominator) for numerator, denominator in fractions]
    if isinstance(part, Piecewise):
        conditions = [_clear_condition(condition) for _, condition in pairs]
        return Piecewise(*zip(values, conditions, strict=True)) / common
    return part.func(*values) / common


def _clear_condition(condition: Boolean) -> Boolean:
    def clear(relation: Relational) -> Boolean:
        numerator, denominator = _fraction(relation.lhs - relation.rhs)
        if not denominator.is_positive:
            raise UnprintableError(f"{relation} divides by {denominator}, which may be negative: multiply by it")
        return relation.func(numerator, 0)

    return condition.replace(lambda part: isinstance(part, Relational), clear)


# ruff: noqa: N802, N815  (a printer's methods bear the names of SymPy's classes)
class _Printer(JavascriptCodePrinter):
    def _print_Integer(self, expr: Integer) -> str:
        return f"{expr}n"

    def _print_Pow(self, expr: Pow) -> str:
        # in brackets, since JavaScript refuses -B**2n
        return f"({self.parenthesize(expr.base, PRECEDENCE['Pow'])}**{self._print(expr.exp)})"

    def _print_Max(self, expr: Max) -> str:
        return f"{type(expr).__name__.lower()}({', '.join(map(self._print, expr.args))})"

    def _print_floor(self, expr: floor) -> str:
        return f"{type(expr).__name__}({', '.join(map(self._print, _fraction(expr.args[0])))})"

    def _print_Piecewise(self, expr: Piecewise) -> str:
        choices = [f"({self._print(condition)}) ? {self._print(value)} : " for value, condition in expr.args[:-1]]
        return f"({''.join(choices)}{self._print(expr.args[-1].expr)})"

    _print_Min, _print_ceiling = _print_Max, _print_floor
