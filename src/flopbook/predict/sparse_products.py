"""Predict products with weights that are left out: FLOPs of what is stored, and bytes of where it stands."""

from fractions import Fraction

import sympy
from sympy import Expr

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.axes import axis
from flopbook.predict.notation import Tensor
from flopbook.predict.products import Product, matmul
from flopbook.predict.values import number

__all__ = [
    "block_bytes", "break_even_density", "break_even_rank", "csr_bytes", "empty_blocks", "low_rank", "n_of_m_bytes",
    "stored_flops",
]  # fmt: skip


def stored_flops(product: Product, name: str, stored: Expr | int) -> Expr:
    """Predict a product of which one operand stores only some of its numbers.

    Each stored number meets what it would meet in the whole product, so it costs 2 for each combination of the
    letters that its tensor lacks. Which numbers are stored does not matter.

    Parameters
    ----------
    product : Product
        The whole product.
    name : str
        Of the operand.
    stored : Expr or int
        How many numbers it stores.

    Raises
    ------
    TypeError, ValueError
        If it is not a product, has no such operand, or `stored` is not an amount.

    Examples
    --------
    >>> from flopbook.predict import D, K, matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> stored_flops(y, "w", D * K / 2)
    B*D*K
    >>> stored_flops(y, "w", 1000)
    2000*B
    """
    operand = _operand(product, name)
    return (
        2 * number("stored", stored) * sympy.prod(axis(letter) for letter in product.axes if letter not in operand.axes)
    )


def _operand(product: Product, name: str) -> Tensor:
    if not isinstance(product, Product):
        raise TypeError(f"{quoted(product)} is not a product: write matmul('x[B,D] @ w[D,K] -> y[B,K]')")
    operands = {tensor.name: tensor for tensor in (product.left, product.right)}
    return operands[checks.one_of("operand", name, operands)]


def csr_bytes(rows: Expr | int, stored: Expr | int, number_bytes: int = 4, place_bytes: int = 8) -> Expr:
    """Predict the bytes of a matrix in compressed sparse rows.

    Each stored number has its column beside it, and each row the place where it begins, with one place more for the
    end of the last.

    Parameters
    ----------
    rows, stored : Expr or int
        Rows of the matrix, and numbers that are stored.
    number_bytes, place_bytes : int
        Bytes of a number, and of a column or place: 8 in PyTorch unless told, where 4 do as well.

    Raises
    ------
    TypeError, ValueError
        If one is not an amount or a size.

    Examples
    --------
    >>> csr_bytes(100, 500)
    6808
    """
    return block_bytes(rows, stored, 1, number_bytes, place_bytes)


def block_bytes(
    block_rows: Expr | int, blocks: Expr | int, block: int, number_bytes: int = 4, place_bytes: int = 8
) -> Expr:
    """Predict the bytes of a matrix that stores whole blocks, in compressed rows of blocks.

    Parameters
    ----------
    block_rows, blocks : Expr or int
        Rows of blocks, and blocks that are stored.
    block : int
        Numbers of a block.
    number_bytes, place_bytes : int
        Bytes of a number, and of a column or place.

    Raises
    ------
    TypeError, ValueError
        If one is not an amount or a size.

    Examples
    --------
    >>> block_bytes(25, 32, 16), csr_bytes(100, 32 * 16)
    (2512, 6952)
    """
    rows, kept = number("block_rows", block_rows, least=1), number("blocks", blocks)
    each = checks.size("block", block) * checks.size("number_bytes", number_bytes)
    return kept * (each + checks.size("place_bytes", place_bytes)) + (rows + 1) * place_bytes


def n_of_m_bytes(numbers: Expr | int, n: int = 2, m: int = 4, number_bytes: int = 2) -> Expr:
    """Predict the bytes of numbers of which n of every m neighbours are stored.

    Each stored number has its place among the m beside it, in as few bits as number the places: 2 for 2 of 4.

    Parameters
    ----------
    numbers : Expr or int
        Of the whole tensor; m divides them.
    n, m : int
        How many are stored, and of how many.
    number_bytes : int
        Bytes of a number.

    Raises
    ------
    TypeError, ValueError
        If one is not an amount or a size, n is more than m, or m does not divide the numbers.

    Notes
    -----
    Mishra and others, *Accelerating Sparse Deep Neural Networks* (2021), section 3.

    Examples
    --------
    >>> n_of_m_bytes(1024), 2 * 1024
    (1152, 2048)
    """
    whole, most = number("numbers", numbers, least=1), checks.size("m", m)
    if checks.size("n", n) > most:
        raise ValueError(f"n={quoted(n)} of m={quoted(m)} cannot be stored: give an n of at most {most}")
    if whole.is_Integer and whole % most:
        raise ValueError(f"numbers={quoted(numbers)} are not groups of m={quoted(m)}: give a multiple of {most}")
    stored = whole * n / most
    return stored * (checks.size("number_bytes", number_bytes) + sympy.Rational((most - 1).bit_length(), 8))


def break_even_density(number_bytes: int, place_bytes: int) -> Fraction:
    """Return the share of stored numbers above which a sparse matrix has more bytes than a whole one.

    The places where rows begin are left out: there are few.

    Parameters
    ----------
    number_bytes, place_bytes : int
        Bytes of a number, and of its place.

    Raises
    ------
    ValueError
        If one is not a size.

    Examples
    --------
    >>> break_even_density(4, 8), break_even_density(2, 4)
    (Fraction(1, 3), Fraction(1, 3))
    """
    whole = checks.size("number_bytes", number_bytes)
    return Fraction(whole, whole + checks.size("place_bytes", place_bytes))


def empty_blocks(density: Expr | Fraction | float, block: int) -> Expr:
    """Return the share of blocks that are empty, if numbers are kept at random.

    Parameters
    ----------
    density : Expr, Fraction or float
        The share of numbers that is kept, from 0 to 1.
    block : int
        Numbers of a block.

    Raises
    ------
    ValueError
        If the density is not a share, or the block is not a size.

    Examples
    --------
    >>> empty_blocks(Fraction(1, 2), 4)
    1/16
    >>> round(float(empty_blocks(0.1, 16)), 3)
    0.185
    """
    return (1 - _share("density", density)) ** checks.size("block", block)


def _share(name: str, value: Expr | Fraction | float) -> Expr:
    """Return a share as an expression: a number from 0 to 1, or made of letters."""
    if isinstance(value, Expr):
        if value.is_number and not 0 <= value <= 1:
            raise ValueError(f"{name}={quoted(value)} is not a share: write a number from 0 to 1")
        return value
    if not (checks.is_number(value) and 0 <= value <= 1):
        raise ValueError(f"{name}={quoted(value)} is not a share: write a number from 0 to 1")
    exact = Fraction(str(value))  # 0.1 is meant as a tenth
    return sympy.Rational(exact.numerator, exact.denominator)


def low_rank(product: Product, rank: str = "R") -> tuple[Product, Product]:
    """Put two narrow weights into the place of a product's right operand.

    Parameters
    ----------
    product : Product
        With a weight on the right.
    rank : str
        The letter of the width between the two, which the product lacks.

    Returns
    -------
    tuple of Product
        Of the data with the weight's first factor, and of what it makes with the second.

    Raises
    ------
    TypeError, ValueError
        If it is not a product, or has that letter, or a letter that all its tensors share.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> low_rank(matmul("x[B,D] @ w[D,K] -> y[B,K]"))
    (x[B,D] @ w1[D,R] -> h[B,R], h[B,R] @ w2[R,K] -> y[B,K])
    """
    into, out = _sides(product)
    if rank in product.axes:
        raise ValueError(f"rank={quoted(rank)} is a letter of {product}: give another")
    name, rows = product.right.name, ",".join(letter for letter in product.left.axes if letter not in into)
    middle = f"h[{rows},{rank}]"
    return (
        matmul(f"{product.left} @ {name}1[{','.join(into)},{rank}] -> {middle}"),
        matmul(f"{middle} @ {name}2[{rank},{','.join(out)}] -> {product.output}"),
    )


def break_even_rank(product: Product) -> Expr:
    """Return the rank below which two narrow weights take fewer FLOPs and numbers than the one they replace.

    Parameters
    ----------
    product : Product
        With a weight on the right.

    Raises
    ------
    TypeError, ValueError
        As :func:`low_rank`.

    Examples
    --------
    >>> from flopbook.predict import evaluate, matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> break_even_rank(y)
    D*K/(D + K)
    >>> evaluate(break_even_rank(y), dict(D=4096, K=4096))
    2048
    """
    into, out = (sympy.prod(map(axis, letters)) for letters in _sides(product))
    return into * out / (into + out)


def _sides(product: Product) -> tuple[list[str], list[str]]:
    """Split the letters of a product's weight into those that are summed over and those that it brings."""
    weight = _operand(product, product.right.name if isinstance(product, Product) else "")
    if shared := [letter for letter in weight.axes if letter in product.left.axes and letter in product.output.axes]:
        raise ValueError(f"{product} has {', '.join(shared)} everywhere, so its weight is several: give one of them")
    return (
        [letter for letter in weight.axes if letter not in product.output.axes],
        [letter for letter in weight.axes if letter in product.output.axes],
    )
