"""Plot what formulas say: shapes of products, layouts of numbers, magnitudes."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from flopbook import checks
from flopbook.checks import positive, quoted
from flopbook.figures.style import COLOURS, axes, check_named, tidy

if TYPE_CHECKING:
    from flopbook.predict import Product


def plot_magnitudes(amounts: Mapping[str, float], *, x_label: str, ax: Axes | None = None) -> Axes:
    """Plot amounts that lie magnitudes apart, as points on a logarithmic scale.

    Raises
    ------
    TypeError, ValueError
        If the amounts are not positive numbers by name.

    Examples
    --------
    >>> ax = plot_magnitudes({"a product": 1e6, "a training run": 2e25}, x_label="FLOPs")
    >>> ax.get_xscale()
    'log'
    """
    check_named("1e6", amounts)
    for name, amount in amounts.items():
        positive(name, amount)
    ax = axes(ax, 0.7 + 0.35 * len(amounts))
    places = range(len(amounts))
    ax.hlines(places, min(amounts.values()) / 10, list(amounts.values()), color=COLOURS[0], linewidth=2, alpha=0.5)
    ax.plot(list(amounts.values()), list(places), "o", color=COLOURS[0])
    ax.set_yticks(list(places), list(amounts))
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(x_label)
    return tidy(ax)


def plot_shapes(products: Sequence["Product"], sizes: Mapping[str, int], ax: Axes | None = None) -> Axes:
    """Plot the shapes of matrix products to scale.

    Each has a row, in which its operands are turned so that equal letters meet.

    Parameters
    ----------
    products : sequence of Product
        Each of two matrices.
    sizes : mapping of str to int
        The size of each axis.
    ax : Axes, optional
        Where to draw; else a new figure.

    Raises
    ------
    TypeError, ValueError
        If something else than products of two matrices is given, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> ax = plot_shapes(y.gradients, dict(B=4, D=3, K=2))
    >>> [text.get_text() for text in ax.texts if "x" in text.get_text()]
    ['xᵀ', 'x.grad']
    """
    known = _sizes_of_matrices(products, sizes)
    ax = axes(ax, 1.7 * len(products))
    largest = max(known.values())
    gap, space = 0.6 * largest, 0.05 * largest
    for number, product in enumerate(products):
        edge, middle = 0.0, -1.6 * largest * number
        for (name, rows, columns), sign in zip(_turned(product), ("@", "=", ""), strict=True):
            height, width = known[rows], known[columns]
            centre, colour = edge + width / 2, COLOURS[0 if sign else 1]
            ax.add_patch(Rectangle((edge, middle - height / 2), width, height, fc=f"{colour}40", ec=colour))
            ax.text(centre, middle - height / 2 - space, name, ha="center", va="top")
            ax.text(edge - space, middle, rows, ha="right", va="center", style="italic")
            ax.text(centre, middle + height / 2 + space, columns, ha="center", va="bottom", style="italic")
            edge += width + gap
            ax.text(edge - 0.6 * gap, middle, sign, ha="center", va="center")
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.axis("off")
    return ax


def _sizes_of_matrices(products: Sequence["Product"], sizes: Mapping[str, int]) -> dict[str, int]:
    if not (isinstance(products, Sequence) and products):
        raise TypeError(f"{quoted(products)} is not a list of products: write plot_shapes([matmul(...)], sizes)")
    for product in products:
        tensors = [getattr(product, name, None) for name in ("left", "right", "output")]
        if any(tensor is None or len(tensor.axes) != 2 for tensor in tensors):
            raise TypeError(
                f"{quoted(product)} is not a product of two matrices: write matmul('x[B,D] @ w[D,K] -> y[B,K]')"
            )
    known = checks.sizes(sizes)
    letters = dict.fromkeys(letter for product in products for letter in product.axes)
    if missing := [letter for letter in letters if letter not in known]:
        raise ValueError(f"sizes are missing for {', '.join(missing)}: write sizes=dict({missing[0]}=..., ...)")
    return {letter: known[letter] for letter in letters}


def _turned(product: "Product") -> list[tuple[str, str, str]]:
    """Return name, rows and columns of operands and result, as a textbook multiplies them."""
    rows, columns = product.output.axes
    (shared,) = set(product.axes) - {rows, columns}
    first, second = sorted((product.left, product.right), key=lambda tensor: rows not in tensor.axes)
    shapes = ((first, (rows, shared)), (second, (shared, columns)), (product.output, (rows, columns)))
    return [(tensor.name + ("" if tensor.axes == shape else "ᵀ"), *shape) for tensor, shape in shapes]
