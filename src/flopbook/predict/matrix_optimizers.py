"""Predict the update of optimizers that multiply matrices: Muon, Shampoo, SOAP, Adafactor and L-BFGS.

A matrix has D rows and K columns, whichever way it is written: only which side is shorter matters. All of it depends
on shapes alone, and on no number of a batch.
"""

from dataclasses import dataclass

import sympy
from sympy import Add, Expr, Max, Min, Mul

from flopbook.checks import quoted, size
from flopbook.predict.axes import axis
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import flops
from flopbook.predict.values import number

__all__ = [
    "Update",
    "adafactor",
    "inverse_root",
    "lbfgs",
    "muon",
    "newton_schulz",
    "newton_schulz_step",
    "shampoo",
    "sides",
    "soap",
]


@dataclass(frozen=True)
class Update:
    """Holds what one update of one tensor takes and what its optimizer keeps.

    Attributes
    ----------
    contractions : sympy.Expr
        FLOPs of matrix products and other sums of products.
    pointwise : sympy.Expr
        FLOPs that meet one number after the other.
    state : sympy.Expr
        Numbers that the optimizer keeps.
    """

    contractions: Expr
    pointwise: Expr
    state: Expr

    @property
    def flops(self) -> Expr:
        """Add up the FLOPs of both kinds."""
        return self.contractions + self.pointwise


#: The sides of a matrix; J is D once more, where a product needs two letters for one size.
_D, _K, _J = axis("D"), axis("K"), axis("J")


def newton_schulz_step() -> tuple[Product, ...]:
    """Derive the products of one step of Muon's iteration, for a matrix of D rows and K columns; J has the size of D.

    With the matrix x, the step is x <- a x + (b g + c g g) x, where g = x x'. Nothing in it is as large as K x K, so
    D should be the shorter side.

    Notes
    -----
    Jordan and others, *Muon: An optimizer for hidden layers in neural networks* (2024).

    Examples
    --------
    >>> newton_schulz_step()
    (x[D,K] @ x2[J,K] -> g[D,J], g[D,J2] @ g2[J2,J] -> gg[D,J], p[D,J] @ x2[J,K] -> y[D,K])
    """
    return (
        matmul("x[D,K] @ x2[J,K] -> g[D,J]"),
        matmul("g[D,J2] @ g2[J2,J] -> gg[D,J]"),
        matmul("p[D,J] @ x2[J,K] -> y[D,K]"),
    )


def newton_schulz(rows: Expr | int, columns: Expr | int, steps: Expr | int = 5) -> Expr:
    """Predict the FLOPs of the products that make a matrix orthogonal, nearly: 4a²b + 2a³ a step.

    Here a is the shorter side and b the longer one: a tall matrix is transposed.

    Parameters
    ----------
    rows, columns : sympy.Expr or int
        The sides of the matrix, at least 1.
    steps : sympy.Expr or int
        How often the iteration runs.

    Raises
    ------
    TypeError, ValueError
        If a size is neither an expression nor whole, or too small; quotes it.

    Notes
    -----
    Derived in the lecture *Matrix optimizers*.

    Examples
    --------
    >>> newton_schulz(768, 3072) == newton_schulz(3072, 768) == 5 * (4 * 768**2 * 3072 + 2 * 768**3)
    True
    """
    shorter, longer = _ordered(rows, columns)
    step = flops(newton_schulz_step()).subs({_J: _D, axis("J2"): _D})
    return number("steps", steps) * step.subs({_D: shorter, _K: longer}, simultaneous=True)


def muon(*shape: Expr | int, steps: Expr | int = 5, nesterov: bool = True) -> Update:
    """Predict an update by `torch.optim.Muon` of a matrix.

    Parameters
    ----------
    *shape : sympy.Expr or int
        The two sides of the matrix.
    steps : sympy.Expr or int
        Steps of the iteration of :func:`newton_schulz`.
    nesterov : bool
        Whether the gradient is mixed with the running mean once more, as usual.

    Raises
    ------
    TypeError, ValueError
        If it is not a matrix, or a size is not one.

    Notes
    -----
    Pointwise, each number takes 12: running mean 3, Nesterov 3, the norm 2 and its division 1, decay 1, move 2. A
    step takes 1 for each number of its second and third product, to which something is added.

    Examples
    --------
    >>> update = muon(3, 5)
    >>> update.contractions, update.pointwise, update.state
    (1170, 301, 15)
    """
    rows, columns = _matrix("Muon", shape)
    shorter, longer = _ordered(rows, columns)
    numbers = rows * columns
    added = number("steps", steps) * (shorter**2 + shorter * longer)
    return Update(newton_schulz(rows, columns, steps), (12 if nesterov else 9) * numbers + 1 + added, numbers)


def shampoo(*shape: Expr | int) -> Update:
    """Predict an update by Shampoo of a matrix, without the roots of its factors.

    Two products renew the factors, g g' and g' g, and two multiply the gradient by their roots from both sides. The
    roots are renewed now and then; :func:`inverse_root` predicts one.

    Parameters
    ----------
    *shape : sympy.Expr or int
        The two sides of the matrix.

    Raises
    ------
    TypeError, ValueError
        If it is not a matrix, or a size is not one.

    Notes
    -----
    Gupta and others, *Shampoo: Preconditioned Stochastic Tensor Optimization* (2018), algorithm 1. It keeps the
    factors and their roots. Pointwise, a factor's number takes 1 to be added and the matrix's 2 to move.

    Examples
    --------
    >>> from flopbook.predict import D, K
    >>> shampoo(D, K).contractions.factor()
    4*D*K*(D + K)
    """
    rows, columns = _matrix("Shampoo", shape)
    factors = rows**2 + columns**2
    contractions = sympy.expand(2 * _both_sides(rows, columns))
    return Update(contractions, factors + 2 * rows * columns, 2 * factors)


def inverse_root(side: Expr | int, steps: Expr | int, power: int = 4) -> Expr:
    """Predict the FLOPs of the products of an inverse root of a square matrix, by a coupled Newton iteration.

    Each step multiplies the root once, and the matrix by a power of the same factor, which is squared again and
    again: 1 + 1 + log2(power) products. How many steps it takes depends on the numbers.

    Parameters
    ----------
    side : sympy.Expr or int
        Rows of the square matrix.
    steps : sympy.Expr or int
        How often the iteration runs.
    power : int
        Which root: 4 for Shampoo, a power of two.

    Raises
    ------
    TypeError, ValueError
        If a size is neither an expression nor whole, or the power is not a power of two.

    Notes
    -----
    Guo and Higham, *A Schur-Newton Method for the Matrix pth Root and its Inverse* (2006). An eigenvalue decomposition
    gives the same root; for that there is no closed form.

    Examples
    --------
    >>> from flopbook.predict import D
    >>> inverse_root(D, steps=10)
    80*D**3
    """
    if size("power", power) & (power - 1):
        raise ValueError(f"power={quoted(power)} is not a power of two: write 2, 4 or 8")
    products = 2 + power.bit_length() - 1
    return number("steps", steps) * products * 2 * number("side", side, least=1) ** 3


def soap(*shape: Expr | int) -> Update:
    """Predict an update by SOAP of a matrix, while its basis stays.

    Two products renew the factors of Shampoo, two turn the gradient into the basis of their eigenvectors, where Adam
    runs, and two turn its result back. The running mean is kept turned.

    Parameters
    ----------
    *shape : sympy.Expr or int
        The two sides of the matrix.

    Raises
    ------
    TypeError, ValueError
        If it is not a matrix, or a size is not one.

    Notes
    -----
    Vyas and others, *SOAP: Improving and Stabilizing Shampoo using Adam* (2024). It keeps two moments, two factors and
    two bases. Pointwise, a factor's number takes 3 for its running mean, and the matrix's 12 of Adam.

    Examples
    --------
    >>> from flopbook.predict import D, K
    >>> soap(D, K).contractions.factor()
    6*D*K*(D + K)
    """
    rows, columns = _matrix("SOAP", shape)
    factors, numbers = rows**2 + columns**2, rows * columns
    return Update(sympy.expand(3 * _both_sides(rows, columns)), 3 * factors + 12 * numbers, 2 * factors + 2 * numbers)


def adafactor(*shape: Expr | int, weight_decay: bool = False, maximize: bool = False) -> Update:
    """Predict an update by `torch.optim.Adafactor` of a vector, a matrix, or a stack of matrices.

    Of a matrix it keeps means of squares of rows and of columns, whose product stands for the mean of each number.

    Parameters
    ----------
    *shape : sympy.Expr or int
        The sides of the tensor.
    weight_decay, maximize : bool
        As of the class.

    Raises
    ------
    TypeError, ValueError
        If there is no size, or one is not a size.

    Notes
    -----
    Shazeer and Stern, *Adafactor* (2018). Pointwise, each number of a vector takes 13: norm of the parameter 2,
    square 1, running mean 3, maximum 1, root 1, product with the gradient 1, norm of the result 2, move 2. In a matrix
    14: norms of rows and of columns, 2 each, and a division take the place of the square and the mean.

    Examples
    --------
    >>> adafactor(100).flops, adafactor(10, 20).contractions, adafactor(10, 20).pointwise
    (1301, 400, 2962)
    >>> adafactor(10, 20).state
    31
    """
    if not shape:
        raise TypeError("adafactor() has no shape: write adafactor(D, K), the sides of the tensor")
    sides = [number(f"shape[{place}]", each, least=1) for place, each in enumerate(shape)]
    numbers = Mul(*sides)
    changed = (bool(weight_decay) + bool(maximize)) * numbers
    counter = 1
    if len(sides) == 1:
        return Update(sympy.Integer(0), 13 * numbers + counter + changed, numbers + counter)
    *stack, rows, columns = sides
    of_rows, of_columns = 6 * rows, 5 * columns  # square, divide, running mean 3; and the mean of all rows
    pointwise = 14 * numbers + Mul(*stack) * (of_rows + of_columns + 1) + counter
    return Update(2 * numbers, pointwise + changed, Mul(*stack) * (rows + columns) + counter)


def lbfgs(parameters: Expr | int, history: Expr | int = 100) -> Update:
    """Predict one iteration of `torch.optim.LBFGS` without line search, after as many as its history has.

    Parameters
    ----------
    parameters : sympy.Expr or int
        All numbers, which it takes for one vector.
    history : sympy.Expr or int
        Pairs of vectors that it remembers.

    Raises
    ------
    TypeError, ValueError
        If either is neither an expression nor whole.

    Notes
    -----
    Each pair takes two dot products and two additions of a vector times a number; besides there are three dot products.
    The forward and backward passes that it calls for are not in.

    Examples
    --------
    >>> from flopbook.predict import N
    >>> update = lbfgs(N)
    >>> update.contractions, update.pointwise, update.state
    (406*N, 408*N + 403, 202*N)
    """
    numbers, pairs = number("parameters", parameters, least=1), number("history", history)
    pointwise = numbers * (8 + 4 * pairs) + 3 + 4 * pairs
    return Update(2 * numbers * (2 * pairs + 3), pointwise, numbers * (2 * pairs + 2))


def sides(product: Product) -> tuple[Expr, Expr]:
    """Return the rows and columns of a product's weight as a matrix: what it sums over, and what it makes.

    Parameters
    ----------
    product : Product
        Whose right operand is the weight, such as ``x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]``.

    Raises
    ------
    TypeError, ValueError
        If it is not a product, or its right operand shares an axis with both others, as no weight does.

    Examples
    --------
    >>> sides(matmul("x[B,T,D] @ wq[D,H,E] -> q[B,T,H,E]"))
    (D, E*H)
    """
    if not isinstance(product, Product):
        raise TypeError(f"{quoted(product)} is not a product: write sides(matmul('x[B,D] @ w[D,K] -> y[B,K]'))")
    summed = [name for name in product.right.axes if name in product.left.axes]
    made = [name for name in product.right.axes if name in product.output.axes]
    if shared := sorted({*summed} & {*made}):
        raise ValueError(
            f"{product.right} in '{product}' is not a weight, since {', '.join(shared)} is in all three tensors: "
            "give the product of a weight"
        )
    return Mul(*map(axis, summed)), Mul(*map(axis, made))


def _matrix(name: str, shape: tuple[Expr | int, ...]) -> tuple[Expr, Expr]:
    if len(shape) != 2:
        raise ValueError(f"{name} updates matrices, and {quoted(shape)} is not the shape of one: write two sides")
    return number("rows", shape[0], least=1), number("columns", shape[1], least=1)


def _ordered(rows: Expr | int, columns: Expr | int) -> tuple[Expr, Expr]:
    both = number("rows", rows, least=1), number("columns", columns, least=1)
    return Min(*both), Max(*both)


def _both_sides(rows: Expr, columns: Expr) -> Expr:
    """Predict a product with a square matrix from the left and one from the right."""
    left, right = matmul("l[D,J] @ g[J,K] -> lg[D,K]"), matmul("lg[D,J] @ r[J,K] -> u[D,K]")
    squares = left.flops.subs(_J, _D), right.flops.subs(_J, _K)
    return Add(*squares).subs({_D: rows, _K: columns}, simultaneous=True)
