"""Evaluate expressions exactly, and refuse those whose values would fill the memory."""

from collections.abc import Mapping
from fractions import Fraction

import sympy
from sympy import Expr

from flopbook import checks
from flopbook.checks import quoted, size

__all__ = ["evaluate"]

#: Values have at most so many bits, about 3,000 digits: Python prints no integer of more than 4,300.
MOST_BITS = 10_000

#: Functions whose values have no more bits than their arguments together; what else there is may grow without bound.
#: Max and Min are not of SymPy's class of functions.
_GROW_NO_FASTER = (
    sympy.floor,
    sympy.ceiling,
    sympy.Mod,
    sympy.Abs,
    sympy.sign,
    sympy.log,
    sympy.tanh,
)
_MOST_BITS_OF_EXPONENT = 500


def evaluate(expression: Expr | int | Fraction, sizes: Mapping[str, int]) -> int | Fraction:
    """Evaluate an `expression` exactly at given sizes.

    Parameters
    ----------
    expression : sympy.Expr
        Made of axes.
    sizes : mapping of str to int
        The size of each axis; others may be there too.

    Returns
    -------
    int or Fraction
        An integer wherever the value is one, a fraction for a ratio.

    Raises
    ------
    TypeError
        If text is given, or a product or step instead of its ``flops``, or `sizes` is not a mapping.
    ValueError
        If a size is missing, or is not a positive integer, or the value is not exact, or has more than 3,000 digits.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> evaluate(y.flops, dict(B=16384, D=32768, K=8192))
    8796093022208
    """
    if not isinstance(expression, (Expr, int, Fraction)) or isinstance(expression, bool):
        raise TypeError(f"{quoted(expression)} is not an expression: {_remedy(expression)}")
    known = checks.sizes(sizes)
    made_of = sympy.sympify(expression)  # a number becomes SymPy's; text has been refused
    letters = sorted(symbol.name for symbol in made_of.free_symbols)
    missing = [name for name in letters if name not in known]
    if missing:
        wanted = ", ".join(f"{name}=..." for name in letters)
        raise ValueError(f"{quoted(expression)} needs a size for {', '.join(missing)}: write sizes=dict({wanted})")
    given = {name: known[name] for name in letters}
    value = value_at(made_of, given)
    if not value.is_Rational:
        raise ValueError(
            f"{quoted(expression)} has no exact value at {given}, where it is {quoted(value)}: give other sizes"
        )
    return int(value) if value.is_Integer else Fraction(int(value.p), int(value.q))


def _remedy(given: object) -> str:
    if isinstance(given, str):
        return "write 2 * B, with B from flopbook.predict and without quotation marks"
    if hasattr(given, "flops"):
        return "write step.flops"
    return "write 2 * B * D, with B and D from flopbook.predict"


def number(name: str, value: object, least: int = 0) -> Expr:
    """Return an amount as an expression: whole and at least `least`, or made of axes.

    Raises
    ------
    TypeError, ValueError
        If it is anything else; quotes it.

    Examples
    --------
    >>> number("tensors", 8)
    8
    """
    if isinstance(value, Expr) and not value.is_number:
        return value
    if not hasattr(value, "__index__") or isinstance(value, bool):
        raise TypeError(
            f"{name}={quoted(value)} is not an amount: write a whole number, or an expression such as 2 * B"
        )
    return sympy.Integer(size(name, value, least=least))


def value_at(expression: Expr, sizes: Mapping[str, int]) -> Expr:
    """Put sizes in for the letters of an expression.

    Raises
    ------
    ValueError
        If the value has more than 3,000 digits.
    """
    if max(_bits(expression, sizes)) > MOST_BITS:
        raise ValueError(
            f"{quoted(expression)} is too large at {quoted(dict(sizes))}: give sizes where it has at most 3,000 digits"
        )
    # all at once: halfway SymPy simplifies, and takes Max(2, 2/(D*K)) for 2/(D*K)
    return expression.xreplace({symbol: sympy.Integer(sizes[symbol.name]) for symbol in expression.free_symbols})


def _bits(expression: Expr, sizes: Mapping[str, int]) -> tuple[int, int]:
    """Bound the bits of numerator and denominator of a value, before it is worked out."""
    if expression.is_Rational:
        return int(expression.p).bit_length(), int(expression.q).bit_length() - 1
    if expression.is_Symbol:
        return sizes[expression.name].bit_length(), 0
    if expression.is_Pow:
        above, below = _bits(expression.base, sizes)
        exponent = _exponent(expression.exp, sizes)
        return (above * exponent, below * exponent) if exponent >= 0 else (below * -exponent, above * -exponent)
    unknown = isinstance(expression, (sympy.Function, sympy.Sum, sympy.Product, sympy.Integral))
    if unknown and not isinstance(expression, (*_GROW_NO_FASTER, sympy.Piecewise)):
        raise ValueError(
            f"{quoted(expression)} may have a value of any length: write it with sums, products, powers, Max, Min, "
            "floor and ceiling, or sums worked out with .doit()"
        )
    parts = [_bits(part, sizes) for part in expression.args]
    below = sum(part[1] for part in parts)
    if expression.is_Add:
        return max(above + below - own for above, own in parts) + len(parts).bit_length(), below
    return sum(part[0] for part in parts) or 1, below


def _exponent(expression: Expr, sizes: Mapping[str, int]) -> int:
    """Return a power's exponent, rounded away from zero, a long one as a huge one."""
    if max(_bits(expression, sizes)) > _MOST_BITS_OF_EXPONENT:
        return MOST_BITS + 1
    value = value_at(expression, sizes)
    if not value.is_Rational:
        return 1  # such as a root of a root: no exact value, so that nothing grows
    return int(sympy.ceiling(value) if value > 0 else sympy.floor(value))
