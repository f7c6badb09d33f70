"""Make sizes that are integers for PyTorch and expressions for the reader."""

import math
import operator
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import sympy
import torch
from torch.fx.experimental.sym_node import SymNode

from flopbook.tracing.letters import Letters

#: The largest denominator of a number that a formula shows as a fraction.
_LARGEST = 1024

#: How many results of each calculation are kept: a model calculates with the same sizes again and again.
_KEPT = 1024


def size_of(expression: sympy.Expr, letters: Letters) -> torch.SymInt | int:
    """Return an expression as a size for PyTorch."""
    if expression.is_number:
        return int(expression)
    return torch.SymInt(_Number(letters, expression, int, int(expression.subs(letters.examples))))


def expression_of(size: torch.SymInt | int) -> sympy.Expr:
    """Return the expression that a size stands for."""
    return size.node.expr if isinstance(size, torch.SymInt) else sympy.Integer(size)


def letters_in(tensor: torch.Tensor) -> set[sympy.Symbol]:
    """Return the letters in the sizes of a tensor."""
    return {symbol for size in tensor.shape for symbol in expression_of(size).free_symbols}


def _calculation(calculate: Callable, express: Callable | None = None, pytype: type | None = None) -> Callable:
    """Make a method that calculates the value of a number at the examples, and its expression."""

    express = lru_cache(_KEPT, typed=True)(express or calculate)

    def method(*numbers: "_Number") -> "_Number":
        expr = express(*[number.expr for number in numbers])
        kind = pytype or (float if any(number.pytype is float for number in numbers) else int)
        value = kind(calculate(*(number.hint for number in numbers)))
        return _Number(numbers[0].letters, expr, kind, value, value if expr.is_Number or kind is bool else None)

    return method


def _comparison(compare: Callable, relation: type) -> Callable:
    """Make a method that answers whether a relation of two numbers holds."""

    def method(left: "_Number", right: "_Number") -> "_Number":
        holds = bool(compare(left.hint, right.hint))
        if left.constant is None or right.constant is None:
            holds = left.letters.holds(relation, left.expr, right.expr, holds)
        return left.wrap_bool(holds)

    return method


_total = _calculation(lambda *values: sum(values))


def _larger(size: sympy.Expr, other: sympy.Expr) -> sympy.Expr:
    """Return the larger size; for strides PyTorch writes max(size, 1), and no size is less than 1."""
    return size if other == 1 else sympy.Max(size, other)


class _Number(SymNode):
    """Calculate with letters where PyTorch calculates with sizes.

    PyTorch's own class keeps every question for later and derives much from
    each answer: that takes most of its time. This class answers at once. A
    method that it lacks raises an error, and the letters become plain numbers.

    Parameters
    ----------
    letters : Letters
        Answers the questions.
    expr : Expr
        The number, in letters.
    pytype : type
        The type of the number: int, float or bool.
    hint : int, float or bool
        The number at the example sizes.
    constant : int, float or bool, optional
        The number itself if it depends on no letter.
    """

    expr: sympy.Basic = sympy.S.Zero  # a property in the base class

    def __init__(self, letters: Letters, expr: sympy.Basic, pytype: type, hint: Any, constant: Any = None):
        self.letters, self.expr, self.pytype, self._hint, self.constant = letters, expr, pytype, hint, constant
        self.shape_env = self.fx_node = None

    def __deepcopy__(self, memo: dict) -> "_Number":
        return self  # a model clones its layers

    def wrap_int(self, num: int) -> "_Number":
        return _Number(self.letters, sympy.Integer(num), int, num, num)

    def wrap_bool(self, num: bool) -> "_Number":
        return _Number(self.letters, sympy.true if num else sympy.false, bool, num, num)

    def wrap_float(self, num: float) -> "_Number":
        number = sympy.Float(num)
        if math.isfinite(num) and (fraction := sympy.Rational(num)).q <= _LARGEST:
            number = fraction
        return _Number(self.letters, number, float, num, num)

    def maybe_as_int(self) -> int | None:
        return None if self.constant is None else int(self.constant)

    def evaluate(self, size_oblivious: bool = False) -> Any:
        if self.constant is not None:
            return self.constant
        if self.pytype is int:
            return self.letters.constant(self.expr)
        self.letters.note_rounding(self.expr)
        return self._hint

    def expect_true(self, file: str, line: int) -> bool:
        return self.guard_bool(file, line)

    guard_or_false = guard_or_true = statically_known_true = expect_true

    def sym_sum(self, args: list[SymNode]) -> SymNode:
        return _total(*args)

    add, sub = _calculation(operator.add), _calculation(operator.sub)
    mul, neg = _calculation(operator.mul), _calculation(operator.neg)
    floordiv = int_floordiv = _calculation(operator.floordiv, lambda number, by: sympy.floor(number / by), int)
    truediv = int_truediv = float_truediv = _calculation(operator.truediv, pytype=float)
    pow = float_pow = _calculation(operator.pow, pytype=float)
    pow_by_natural = _calculation(operator.pow)
    mod = _calculation(operator.mod, sympy.Mod)
    sym_max, sym_min = _calculation(max, _larger), _calculation(min, sympy.Min)
    sym_float = _calculation(float, lambda number: number, float)
    floor = trunc = _calculation(math.floor, sympy.floor, int)  # no size is negative
    ceil = _calculation(math.ceil, sympy.ceiling, int)

    eq, ne = _comparison(operator.eq, sympy.Eq), _comparison(operator.ne, sympy.Ne)
    lt, le = _comparison(operator.lt, sympy.Lt), _comparison(operator.le, sympy.Le)
    gt, ge = _comparison(operator.gt, sympy.Gt), _comparison(operator.ge, sympy.Ge)
    and_ = _calculation(operator.and_, sympy.And, bool)
    or_ = _calculation(operator.or_, sympy.Or, bool)
    sym_not = _calculation(operator.not_, sympy.Not, bool)
