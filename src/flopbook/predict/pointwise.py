"""Predict pointwise arithmetic: operations for each element, and how many elements there are.

By the convention of the book an addition, a root and an exponential are one operation each.
"""

import sympy
from sympy import Add, Expr, Indexed, Max, Min, Mul, Piecewise, Pow

from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.notation import Tensor

__all__ = ["elements", "operations"]


def elements(*tensors: Tensor) -> Expr:
    """Predict how many numbers the tensors have together.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> elements(y.output), elements(y.left, y.right)
    (B*K, B*D + D*K)
    """
    return sympy.Add(*(sympy.Mul(*map(axis, tensor.axes)) for tensor in tensors))


def operations(*expressions: Expr) -> int:
    """Count the FLOPs of the `expressions` for each element.

    A quantity with an index, such as ``p[i]``, has a value for each element. One without, such as a learning rate,
    is the same for all: what is made of these alone is worked out once, and takes nothing for each element.

    Parameters
    ----------
    *expressions : sympy.Expr
        With at least one indexed quantity each, as SymPy writes them.

    Raises
    ------
    TypeError
        If something else than an expression is given.
    ValueError
        If an expression has no indexed quantity.

    Notes
    -----
    Derived in the lecture *Cost a whole training step*.

    Examples
    --------
    >>> from sympy import IndexedBase, symbols
    >>> i, rate, decay = symbols("i eta lambda")
    >>> p, g = IndexedBase("p"), IndexedBase("g")
    >>> operations(p[i] - rate * g[i])
    2
    >>> operations((1 - rate * decay) * p[i] - rate * g[i])
    3
    """
    for expression in expressions:
        if not isinstance(expression, Expr):
            raise TypeError(
                f"{quoted(expression)} is not an expression: write p[i] - rate * g[i] with SymPy's IndexedBase"
            )
        if not _varies(expression):
            raise ValueError(
                f"{quoted(expression)} is the same for all elements: give what varies an index, as in p[i]"
            )
    return sum(map(_operations, expressions))


def _varies(expression: Expr) -> bool:
    return expression.has(Indexed)


def _operations(expression: Expr) -> int:
    if not _varies(expression) or isinstance(expression, Indexed):
        return 0
    if isinstance(expression, Piecewise):  # to compare and to choose is not arithmetic
        return sum(_operations(value) for value, _ in expression.args)
    inner = sum(map(_operations, expression.args))
    if isinstance(expression, Mul):
        return inner + _multiplications(expression)
    if isinstance(expression, Add):
        # a term that is subtracted needs no change of sign first, if there is one to subtract it from
        negated = sum(term.args[:1] == (-1,) and _scalars(term) == 1 for term in expression.args)
        return inner + _pairs(expression) - min(negated, len(expression.args) - 1)
    return inner + (_pairs(expression) if isinstance(expression, (Max, Min)) else 1)


def _scalars(expression: Expr) -> int:
    """Count the operands that are the same for all elements."""
    return sum(not _varies(part) for part in expression.args)


def _pairs(expression: Expr) -> int:
    """Count the operations that join all operands; those without an index are one already."""
    varying = len(expression.args) - _scalars(expression)
    return varying + bool(_scalars(expression)) - 1


def _multiplications(product: Mul) -> int:
    """Count multiplications and divisions; a division needs no reciprocal before it."""
    divisors = [factor for factor in product.args if _varies(factor) and _is_divisor(factor)]
    # a divisor has counted as a power: as a reciprocal, or as a power of its own, such as 1/x² and 1/√x
    reciprocals = sum(factor.exp == -1 for factor in divisors)
    nothing_to_divide = len(divisors) == len(product.args)
    return _pairs(product) - reciprocals + nothing_to_divide


def _is_divisor(factor: Expr) -> bool:
    return isinstance(factor, Pow) and bool(factor.exp.is_negative)
