"""Predict matrix products that trade multiplications for additions, such as Strassen's.

A scheme multiplies matrices that are cut into quarters: sums of quarters meet in seven products, and sums of these are
the quarters of the result. Each of the seven can be worked out in the same way.
"""

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import sympy
from sympy import Expr

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.values import number

__all__ = ["SCHEMES", "Scheme", "Work", "exponent", "fast_product", "halvings", "ordinary_product", "padded"]

_QUARTERS = ("11", "12", "21", "22")


class Work(NamedTuple):
    """Holds what a product or a convolution takes, operation by operation.

    Attributes
    ----------
    multiplications, additions : Expr
        Of products, exactly: a sum of D terms has D - 1 additions.
    around : Expr
        What comes before and after the products, such as sums of quarters.
    """

    multiplications: Expr
    additions: Expr
    around: Expr

    @property
    def flops(self) -> Expr:
        """Return the FLOPs by convention: 2 for each multiply-accumulate, and all that comes around."""
        return sympy.expand(2 * self.multiplications + self.around)

    @property
    def exact(self) -> Expr:
        """Return every operation once: no sum begins with an addition to zero."""
        return sympy.expand(self.multiplications + self.additions + self.around)


@dataclass(frozen=True)
class Scheme:
    """Describes how two matrices of four quarters each are multiplied, line by line.

    Attributes
    ----------
    name : str
        Who found it.
    left, right : sequence of str
        Sums of the quarters ``a11`` to ``a22`` and ``b11`` to ``b22``, each of two terms: ``s1 = a11 + a22``.
    products : sequence of str
        Such as ``p1 = s1 * t1``; each name stands for a quarter or a sum.
    result : sequence of str
        Sums of products, which end in ``c11`` to ``c22``.

    Examples
    --------
    >>> strassen = SCHEMES["Strassen"]
    >>> len(strassen.products), strassen.sums
    (7, (5, 5, 8))
    """

    name: str
    left: Sequence[str]
    right: Sequence[str]
    products: Sequence[str]
    result: Sequence[str]

    @property
    def lines(self) -> list[tuple[str, str, str, str]]:
        """List all lines in order: what is made, and of which term, sign and term."""
        texts = [*self.left, *self.right, *self.products, *self.result]
        return [(made, first, sign, second) for made, _, first, sign, second in map(str.split, texts)]

    @property
    def sums(self) -> tuple[int, int, int]:
        """Count the sums of left quarters, of right quarters, and of products."""
        return len(self.left), len(self.right), len(self.result)

    def run(self, left: Sequence[Any], right: Sequence[Any], multiply: Callable = operator.mul) -> dict[str, Any]:
        """Work out all lines for any quarters that can be added and multiplied.

        Parameters
        ----------
        left, right : sequence
            Four quarters each, row by row.
        multiply : callable
            Of a left and a right quarter.

        Returns
        -------
        dict of str
            Everything by its name; ``c11`` to ``c22`` are the result.

        Examples
        --------
        With symbols that do not commute, as matrices do not:

        >>> a, b = (sympy.symbols(f"{letter}11 {letter}12 {letter}21 {letter}22", commutative=False) for letter in "ab")
        >>> sympy.expand(SCHEMES["Strassen"].run(a, b)["c12"])
        a11*b12 + a12*b22
        """
        known = {
            f"{letter}{place}": quarter
            for letter, quarters in (("a", left), ("b", right))
            for place, quarter in zip(_QUARTERS, quarters, strict=True)
        }
        does = {"+": operator.add, "-": operator.sub, "*": multiply}
        for made, first, sign, second in self.lines:
            known[made] = does[sign](known[first], known[second])
        return known


#: Schemes of seven products, by who found them: Strassen (1969), with 18 sums, and Winograd (1971), with 15.
SCHEMES = {
    "Strassen": Scheme(
        "Strassen",
        left=["s1 = a11 + a22", "s2 = a21 + a22", "s3 = a11 + a12", "s4 = a21 - a11", "s5 = a12 - a22"],
        right=["t1 = b11 + b22", "t2 = b12 - b22", "t3 = b21 - b11", "t4 = b11 + b12", "t5 = b21 + b22"],
        products=[
            "p1 = s1 * t1", "p2 = s2 * b11", "p3 = a11 * t2", "p4 = a22 * t3", "p5 = s3 * b22", "p6 = s4 * t4",
            "p7 = s5 * t5",
        ],
        result=[
            "u1 = p1 + p4", "u2 = u1 - p5", "c11 = u2 + p7", "c12 = p3 + p5", "c21 = p2 + p4", "u3 = p1 - p2",
            "u4 = u3 + p3", "c22 = u4 + p6",
        ],
    ),
    "Winograd": Scheme(
        "Winograd",
        left=["s1 = a21 + a22", "s2 = s1 - a11", "s3 = a11 - a21", "s4 = a12 - s2"],
        right=["t1 = b12 - b11", "t2 = b22 - t1", "t3 = b22 - b12", "t4 = t2 - b21"],
        products=[
            "p1 = a11 * b11", "p2 = a12 * b21", "p3 = s4 * b22", "p4 = a22 * t4", "p5 = s1 * t1", "p6 = s2 * t2",
            "p7 = s3 * t3",
        ],
        result=[
            "c11 = p1 + p2", "u1 = p1 + p6", "u2 = u1 + p7", "u3 = u1 + p5", "c12 = u3 + p3", "c21 = u2 - p4",
            "c22 = u2 + p5",
        ],
    ),
}  # fmt: skip


def ordinary_product(B: Expr | int, D: Expr | int, K: Expr | int) -> Work:
    """Predict a product of a matrix of B rows and D columns with one of K columns, entry by entry.

    Parameters
    ----------
    B, D, K : Expr or int
        Sizes, or letters.

    Raises
    ------
    TypeError, ValueError
        If one is neither a size nor an expression.

    Examples
    --------
    >>> from flopbook.predict import B, D, K
    >>> ordinary_product(B, D, K).exact
    2*B*D*K - B*K
    """
    B, D, K = (number(name, size, least=1) for name, size in dict(B=B, D=D, K=K).items())
    return Work(B * D * K, B * K * (D - 1), sympy.Integer(0))


def fast_product(B: Expr | int, D: Expr | int, K: Expr | int, scheme: str = "Strassen", levels: int = 1) -> Work:
    """Predict a product by a scheme of seven products of quarters, used on these again, level by level.

    Parameters
    ----------
    B, D, K : Expr or int
        Sizes, or letters, of a matrix of B rows and D columns and one of K columns. Of letters it is taken for granted
        that they can be halved.
    scheme : str
        One of :data:`SCHEMES`.
    levels : int
        How often the matrices are cut; what remains is multiplied entry by entry. :func:`halvings` gives it for a
        size below which nothing is cut.

    Raises
    ------
    TypeError, ValueError
        If a size cannot be halved so often, the levels are not a whole number, or there is no such scheme.

    Notes
    -----
    Strassen, *Gaussian Elimination is not Optimal* (1969); Winograd, *On Multiplication of 2 x 2 Matrices* (1971).
    Derived in the lecture *Fewer FLOPs than the formula*.

    Examples
    --------
    >>> from flopbook.predict import B, D, K
    >>> fast_product(B, D, K).flops
    7*B*D*K/4 + 5*B*D/4 + 2*B*K + 5*D*K/4
    >>> fast_product(20, 20, 20).flops, ordinary_product(20, 20, 20).flops
    (15800, 16000)
    """
    checks.one_of("scheme", scheme, SCHEMES)
    deep = checks.size("levels", levels, least=0)
    B, D, K = (_cut(name, size, deep) for name, size in dict(B=B, D=D, K=K).items())
    used, around = SCHEMES[scheme], sympy.Integer(0)
    for level in range(deep):
        side = sympy.Integer(2) ** (level + 1)
        quarters = (B * D / side**2, D * K / side**2, B * K / side**2)
        each = sum(count * quarter for count, quarter in zip(used.sums, quarters, strict=True))
        around += len(used.products) ** level * each
    leaf = ordinary_product(*(size / sympy.Integer(2) ** deep for size in (B, D, K)))
    leaves = len(used.products) ** deep
    return Work(*(sympy.expand(term) for term in (leaves * leaf.multiplications, leaves * leaf.additions, around)))


def _cut(name: str, size: Expr | int, levels: int) -> Expr:
    """Check that a size can be halved so often."""
    parts, known = 2**levels, number(name, size, least=1)
    if known.is_Integer and known % parts:
        raise ValueError(
            f"{name}={quoted(size)} cannot be halved {levels} time{'s' * (levels > 1)}: take fewer levels, "
            f"or pad it with zeros to padded({size}, {levels}) = {padded(int(known), levels)}"
        )
    return known


def padded(size: int, levels: int) -> int:
    """Return the smallest size of at least `size` that can be halved so often.

    Rows and columns of zeros that are added do not change the product.

    Parameters
    ----------
    size, levels : int
        Of a matrix, and how often it is cut.

    Raises
    ------
    ValueError
        If they are not sizes.

    Examples
    --------
    >>> padded(100, 3), padded(96, 5)
    (104, 96)
    """
    parts = 2 ** checks.size("levels", levels, least=0)
    return -(-checks.size("size", size) // parts) * parts


def halvings(*sizes: int, cutoff: int) -> int:
    """Count how often matrices can be cut if no side of a product is to be shorter than `cutoff`.

    Parameters
    ----------
    *sizes : int
        All sides of the product.
    cutoff : int
        The shortest side that is still worth having.

    Raises
    ------
    ValueError
        If one is not a size, or none is given.

    Examples
    --------
    >>> halvings(96, 64, cutoff=16), halvings(15, cutoff=1)
    (2, 0)
    """
    sides = [checks.size(f"sizes[{place}]", size) for place, size in enumerate(sizes)]
    least = checks.size("cutoff", cutoff)
    if not sides:
        raise ValueError("no sizes are given: write halvings(B, D, K, cutoff=16)")
    levels = 0
    while all(side % 2 == 0 and side // 2 >= least for side in sides):
        sides = [side // 2 for side in sides]
        levels += 1
    return levels


def exponent(products: int, side: int) -> Expr:
    """Return the power of n with which multiplications grow, if a scheme is used again and again.

    Parameters
    ----------
    products : int
        How many products of blocks the scheme has.
    side : int
        Into how many blocks each side of a matrix is cut, at least 2.

    Raises
    ------
    ValueError
        If they are not sizes.

    Examples
    --------
    >>> exponent(7, 2)
    log(7)/log(2)
    >>> float(exponent(8, 2)), round(float(exponent(49, 4)), 3)
    (3.0, 2.807)
    """
    return sympy.log(checks.size("products", products)) / sympy.log(checks.size("side", side, least=2))
