"""Check and name what is drawn of a product of two matrices."""

from collections.abc import Mapping

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.products import Product


def matrix_sizes(product: Product, sizes: Mapping[str, int]) -> tuple[int, int, int]:
    """Return the sizes of rows, of the letter that is summed over, and of columns.

    Raises
    ------
    TypeError, ValueError
        If it is not a product of a matrix of rows with a matrix of columns, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> matrix_sizes(matmul("x[B,D] @ w[D,K] -> y[B,K]"), dict(B=2, D=3, K=4))
    (2, 3, 4)
    """
    known = checks.sizes(sizes)
    if not isinstance(product, Product):
        raise TypeError(f"{quoted(product)} is not a product: write matmul('x[B,D] @ w[D,K] -> y[B,K]')")
    ends = product.left.axes[:1] + product.right.axes[1:]
    if len(product.axes) != 3 or product.output.axes != ends or product.left.axes[1:] != product.right.axes[:1]:
        raise ValueError(f"{product} is not rows times columns: write matmul('x[B,D] @ w[D,K] -> y[B,K]')")
    letters = *product.left.axes, product.right.axes[1]
    if missing := [letter for letter in letters if letter not in known]:
        raise ValueError(f"sizes are missing for {', '.join(missing)}: write sizes=dict({missing[0]}=3, ...)")
    rows, summed, columns = (known[letter] for letter in letters)
    return rows, summed, columns


def entry(name: str, row: int, column: int) -> str:
    """Name an entry of a matrix; row and column are from 0.

    Examples
    --------
    >>> entry("x", 1, 0), entry("x", 9, 0)
    ('x₂₁', 'x₁₀,₁')
    """
    comma = "," if max(row, column) >= 9 else ""
    return name + f"{row + 1}{comma}{column + 1}".translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
