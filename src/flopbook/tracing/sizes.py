"""Sizes that are letters: integers for PyTorch, expressions for the reader."""

import sys
from collections.abc import Mapping
from typing import NamedTuple

import sympy
import torch
from torch.fx.experimental.sym_node import SymNode
from torch.fx.experimental.symbolic_shapes import ShapeEnv
from torch.utils._sympy import functions
from torch.utils._sympy.numbers import int_oo
from torch.utils._sympy.value_ranges import ValueRanges

from flopbook.tracing.divisors import Divisor, divisors, divisors_of_numbers
from flopbook.tracing.source_lines import Line, asking

#: What PyTorch writes in its own way, as the reader knows it.
_PLAIN = {
    functions.FloorDiv: lambda a, b: sympy.floor(a / b),
    functions.CleanDiv: lambda a, b: a / b,
    functions.CeilDiv: lambda a, b: sympy.ceiling(a / b),
    functions.Mod: sympy.Mod,
    functions.PythonMod: sympy.Mod,
    functions.PowByNatural: sympy.Pow,
    functions.Max: sympy.Max,
    functions.Min: sympy.Min,
    functions.IntTrueDiv: lambda a, b: a / b,
    functions.FloorToInt: sympy.floor,
    functions.CeilToInt: sympy.ceiling,
}


class NeedsPlainNumber(BaseException):
    """The model takes a letter for a plain number. No handler on the way may swallow it."""

    def __init__(self, symbol: sympy.Symbol, expression: sympy.Expr, line: Line):
        super().__init__(symbol, expression, line)
        self.symbol, self.expression, self.line = symbol, expression, line


class Assumption(NamedTuple):
    """A question that the example sizes answered, where it was asked, and the answer."""

    condition: sympy.Basic
    holds: bool
    line: Line
    by_model: bool


def in_words(condition: sympy.Basic) -> str:
    """A condition as people say it.

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


def _is_question(expression: sympy.Basic) -> bool:
    """Whether the answer is yes or no; SymPy takes symbols for both."""
    return isinstance(expression, (sympy.core.relational.Relational, sympy.logic.boolalg.BooleanFunction))


def _without_one(*sizes: sympy.Expr) -> sympy.Expr:
    """The larger of a size and 1, which PyTorch writes for strides: no size is less."""
    others = [size for size in sizes if size != 1]
    return others[0] if len(others) == 1 else functions.Max(*sizes)


def _for_torch(letter: sympy.Symbol) -> sympy.Symbol:
    """A symbol that PyTorch takes for a size: by the first letter of a name it knows what depends on data."""
    return sympy.Symbol(f"s{letter}", positive=True, integer=True) if letter.name.startswith(("u", "z")) else letter


class SymbolicSizes(ShapeEnv):
    """Answers PyTorch's questions about sizes that are letters.

    Two sizes are equal if they are the same expression. If they would be where
    one letter divides another one, that is noted in `divisors`. Any other
    question is answered by the example sizes, and noted in `assumptions`. PyTorch's own
    environment would derive the consequences of every answer, which takes most
    of its time.

    Parameters
    ----------
    examples : mapping of Symbol to int
        The letters, and an example size of each.
    """

    def __init__(self, examples: Mapping[sympy.Symbol, int]):
        super().__init__(allow_scalar_outputs=False, allow_dynamic_output_shape_ops=False)
        self._symbols = {letter: _for_torch(letter) for letter in examples}
        self._letters = {symbol: letter for letter, symbol in self._symbols.items()}
        self._examples = {self._symbols[letter]: size for letter, size in examples.items()}
        self.var_to_range |= dict.fromkeys(self._examples, ValueRanges(1, int_oo))
        self._answers: dict[sympy.Basic, sympy.Basic] = {}
        self.held: Mapping[sympy.Symbol, int] = {}  # letters that are plain numbers meanwhile
        self.assumptions: list[Assumption] = []
        self.divisors: list[Divisor] = []
        self.rounded: dict[sympy.Symbol, Line] = {}

    def size(self, expression: sympy.Expr) -> torch.SymInt | int:
        """The size that an expression of the letters stands for."""
        expression = sympy.sympify(expression).xreplace(self._symbols)
        if expression.is_number:
            return int(expression)
        return torch.SymInt(SymNode(expression, self, int, int(expression.xreplace(self._examples))))

    def read(self, size: "torch.SymInt | int") -> sympy.Expr:
        """The expression that a size stands for."""
        if not isinstance(size, torch.SymInt):
            return sympy.Integer(size)
        return self._plain(size.node.expr)

    def in_shape(self, tensor: torch.Tensor) -> set[sympy.Symbol]:
        """The letters in the sizes of a tensor."""
        return {symbol for size in tensor.shape for symbol in self.read(size).free_symbols}

    @property
    def asked(self) -> set[sympy.Symbol]:
        """The letters that any question was about."""
        found = {symbol for question in self._answers for symbol in sympy.sympify(question).free_symbols}
        return {self._letters[symbol] for symbol in found} | self.rounded.keys()

    def evaluate_expr(self, orig_expr, hint=None, fx_node=None, size_oblivious=False, fallback_value=None, **options):
        """The answer to a question about sizes."""
        answer = self._answers.get(orig_expr)
        if answer is None:
            answer = self._answer(orig_expr, hint)
            if not isinstance(answer, sympy.Float):
                self._answers[orig_expr] = answer
        return answer

    def guard_or_defer_runtime_assert(self, orig_expr, msg, fx_node=None):  # type: ignore[override]
        return bool(self.evaluate_expr(orig_expr))

    def _maybe_evaluate_static(self, expr, *, compute_hint=False, **options):  # type: ignore[override]
        if compute_hint:
            return sympy.sympify(expr).xreplace(self._examples)
        if _is_question(expr):
            return self.evaluate_expr(expr)
        return expr if expr.is_number else None

    def _answer(self, asked, hint) -> sympy.Basic:
        if isinstance(asked, (bool, int, float)) or asked.is_number or asked in (sympy.true, sympy.false):
            return sympy.sympify(asked)
        if isinstance(hint, float):
            return self._round(asked, hint)
        return self._decide(asked, hint) if _is_question(asked) else self._constant(asked)

    def _decide(self, asked: sympy.Basic, hint) -> sympy.Basic:
        if isinstance(asked, sympy.logic.boolalg.BooleanFunction):
            return asked.func(*map(self.evaluate_expr, asked.args))
        plain = self._plain(asked)
        if plain in (sympy.true, sympy.false):
            return plain
        example = bool(asked.xreplace(self._examples)) if hint is None else bool(hint)
        if isinstance(asked, (sympy.Eq, sympy.Ne)):
            wants = isinstance(asked, sympy.Eq)
            difference = (asked.lhs - asked.rhs).replace(functions.Max, _without_one)
            if sympy.expand(self._plain(difference)) == 0:
                return sympy.sympify(wants)
            if example == wants:
                self._note_divisors(asked)
            return self._assume(plain, not wants)
        return self._assume(plain, example)

    def _assume(self, condition: sympy.Basic, holds: bool) -> sympy.Basic:
        line, directly = asking(sys._getframe())
        self.assumptions.append(Assumption(condition, holds, line, directly))
        return sympy.true if holds else sympy.false

    def _plain(self, expression: sympy.Basic) -> sympy.Basic:
        for theirs, ours in _PLAIN.items():
            expression = expression.replace(theirs, ours)
        return expression.xreplace(self._letters)

    def _round(self, asked, hint: float) -> sympy.Basic:
        for symbol in asked.free_symbols:
            self.rounded[self._letters[symbol]] = asking(sys._getframe())[0]
        return sympy.Float(hint)

    def _constant(self, asked) -> sympy.Basic:
        """A plain number is wanted: an expression may be one, such as how many halves a letter has."""
        symbols = sorted(asked.free_symbols, key=str)
        points = [self._examples, *({symbol: n + i for i, symbol in enumerate(symbols)} for n in (2, 3, 8, 31, 100))]
        values = {asked.xreplace({symbol: sympy.Integer(point[symbol]) for symbol in symbols}) for point in points}
        if len(values) == 1:
            return values.pop()
        raise NeedsPlainNumber(self._letters[symbols[0]], self._plain(asked), asking(sys._getframe())[0])

    def _note_divisors(self, asked: sympy.Basic) -> None:
        """Two sizes that the example makes equal: note what has to divide what so that they always are."""
        sizes = {self._letters[symbol]: size for symbol, size in self._examples.items()}
        difference = self._plain(asked.lhs - asked.rhs)
        found = [*divisors(difference, sizes, sizes.keys())] or divisors_of_numbers(difference, sizes, self.held)
        self.divisors += sorted(found, key=lambda divisor: divisor.divisor.subs(sizes))[:1]  # the others ask for more
