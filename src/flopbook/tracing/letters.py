"""Answer what PyTorch and a model ask about sizes that are letters."""

import sys
from collections.abc import Mapping
from typing import NamedTuple

import sympy

from flopbook.tracing.divisors import Divisor, divisors, divisors_of_numbers
from flopbook.tracing.source_lines import Line, asking

#: An expression that has the same value at all of these sizes (and more by 1 for each further letter) is constant.
_SIZES = 2, 3, 8, 31, 100


class NeedsPlainNumber(BaseException):
    """Say that the model takes a letter for a plain number.

    Not an Exception: a model that catches every Exception would go on without the number.
    """

    def __init__(self, symbol: sympy.Symbol, line: Line):
        super().__init__(symbol, line)
        self.symbol, self.line = symbol, line


class Assumption(NamedTuple):
    """A question of the model that the example sizes answered, its answer, and the line that asked it."""

    condition: sympy.Basic
    holds: bool
    line: Line


class Letters:
    """Know the letters of a trace, and answer questions about them.

    Two sizes are equal if they are the same expression. If they would be where
    one letter divides another one, that is noted in `divisors`. Any other
    question is answered by the example sizes, and noted in `assumptions` if the
    model asks it.

    Parameters
    ----------
    examples : mapping of Symbol to int
        The letters, and an example size of each.

    Attributes
    ----------
    held : mapping of Symbol to int
        The letters that are plain numbers in this run.
    asked : set of Symbol
        The letters that any question was about.
    rounded : dict of Symbol to Line
        The letters that became floating-point numbers, and where.
    """

    def __init__(self, examples: Mapping[sympy.Symbol, int]):
        self.examples = examples
        self.held: Mapping[sympy.Symbol, int] = {}
        self.asked: set[sympy.Symbol] = set()
        self.assumptions: list[Assumption] = []
        self.divisors: list[Divisor] = []
        self.rounded: dict[sympy.Symbol, Line] = {}
        self._answers: dict[tuple, bool] = {}

    def holds(self, relation: type, left: sympy.Expr, right: sympy.Expr, at_examples: bool) -> bool:
        """Answer whether a relation holds, given whether it holds at the examples."""
        question = relation, left, right
        if question not in self._answers:
            self.asked |= left.free_symbols | right.free_symbols
            self._answers[question] = self._answer(relation, left, right, at_examples)
        return self._answers[question]

    def constant(self, expression: sympy.Expr) -> int:
        """Return the number that an expression always is, such as how many halves a letter has."""
        symbols = sorted(expression.free_symbols, key=str)
        points = [self.examples, *({symbol: size + i for i, symbol in enumerate(symbols)} for size in _SIZES)]
        values = {expression.xreplace({s: sympy.Integer(point[s]) for s in symbols}) for point in points}
        if len(values) > 1:
            raise NeedsPlainNumber(symbols[0], asking(sys._getframe())[0])
        return int(values.pop())

    def note_rounding(self, expression: sympy.Expr) -> None:
        """Note that an expression becomes a floating-point number."""
        self.rounded |= dict.fromkeys(expression.free_symbols, asking(sys._getframe())[0])

    def _answer(self, relation: type, left: sympy.Expr, right: sympy.Expr, at_examples: bool) -> bool:
        equal = relation is sympy.Eq
        if at_examples == equal and relation in (sympy.Eq, sympy.Ne):  # the sizes are equal at the examples
            if (difference := sympy.expand(left - right)) == 0:
                return equal
            self._note_divisor(difference)
            at_examples = not equal
        line, by_model = asking(sys._getframe())
        if not by_model:
            return at_examples  # to let SymPy think about each question of PyTorch takes a tenth of a trace
        condition = relation(left, right)
        if condition in (sympy.true, sympy.false):
            return bool(condition)
        self.assumptions.append(Assumption(condition, at_examples, line))
        return at_examples

    def _note_divisor(self, difference: sympy.Expr) -> None:
        """Note what has to divide what so that a difference is zero not only at the examples."""
        found = [*divisors(difference, self.examples, self.examples)] or divisors_of_numbers(
            difference, self.examples, self.held
        )
        self.divisors += sorted(found, key=lambda found: found.divisor.subs(self.examples))[:1]  # others ask for more


def in_words(condition: sympy.Basic) -> str:
    """Write a condition as people say it.

    >>> from flopbook.predict import D, H
    >>> in_words(sympy.Eq(sympy.Mod(D, H), 0)), in_words(sympy.Ne(D, H)), in_words(D > 1)
    ('H divides D', 'D is not H', 'D > 1')
    """
    if isinstance(condition, sympy.Eq) and isinstance(condition.lhs, sympy.Mod):
        dividend, divisor = condition.lhs.args
        return f"{divisor} divides {dividend}"
    if isinstance(condition, (sympy.Eq, sympy.Ne)):
        return f"{condition.lhs} is {'not ' * isinstance(condition, sympy.Ne)}{condition.rhs}"
    return str(condition)
