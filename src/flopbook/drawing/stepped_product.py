"""Draw a matrix product one multiply-add at a time."""

import itertools
from collections.abc import Iterator, Mapping

from flopbook.drawing.controls import Steps, Tick
from flopbook.drawing.matrices import entry, matrix_sizes
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.products import Product
from flopbook.tables import Table

_GAP, _TOP, _LARGEST = 44.0, 26.0, 30.0


def multiply_adds(product: Product, sizes: Mapping[str, int]) -> Picture:
    """Draw a product of two matrices, stepped through one multiply-add at a time.

    The letter that is summed over runs fastest, so that the entries of the result are finished one by one.
    A number in an entry says how many terms it has so far.

    Parameters
    ----------
    product : Product
        Of two matrices, such as ``matmul("x[B,D] @ w[D,K] -> y[B,K]")``.
    sizes : mapping of str to int
        The size of each letter, small enough to be drawn.

    Raises
    ------
    TypeError, ValueError
        If it is not a product of a matrix of rows with a matrix of columns, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> picture = multiply_adds(matmul("x[B,D] @ w[D,K] -> y[B,K]"), dict(B=2, D=3, K=4))
    >>> print(picture.frame(step=4).sentence)
    4 multiplications and 4 additions so far, 8 FLOPs: x₁₁ · w₁₂ begins y₁₂. At which step is y₁₂ finished?
    >>> print(picture.frame(step=24, exact=True).sentence)
    24 multiplications and 16 additions, 40 FLOPs: y is finished. Each of its 8 sums has 3 terms and 2 additions.
    >>> print(picture.frame(step=24).sentence)
    24 multiplications and 24 additions, 48 FLOPs: y is finished. Each of its 8 sums has 3 terms and 3 additions.
    """
    B, D, K = matrix_sizes(product, sizes)
    total = B * D * K

    def draw(step: int, exact: bool) -> Frame:
        begun = -(-step // D)
        saved = begun if exact else 0  # the first term of a sum is added to nothing
        rows = [
            ("so far", step, step - saved, 2 * step - saved),
            ("in the end", total, total - exact * B * K, 2 * total - exact * B * K),
        ]
        done = "so far, " if step < total else ", "
        sentence = f"{step} multiplications and {step - saved} additions {done}{2 * step - saved} FLOPs: "
        return Frame(
            list(_matrices(product, (B, D, K), step)),
            sentence.replace(" ,", ",") + _what(product, (B, D, K), step, exact),
            Table(["", "multiplications", "additions", "FLOPs"], rows),
        )

    return Picture(
        "multiply-adds",
        f"The multiply-adds of {product}",
        _TOP + max(B, D) * _cell(D, K) + 6,
        draw,
        [
            Steps("step", "Multiply-add", range(total + 1), start=min(D + 1, total)),  # the second sum begins
            Tick("exact", "do not count the first addition of each sum, to zero"),
        ],
    )


def _cell(D: int, K: int) -> float:
    """Return the side of a cell."""
    return min(_LARGEST, (WIDTH - 2 * _GAP - 20) / (D + 2 * K))


def _place(step: int, D: int, K: int) -> tuple[int, int, int]:
    """Return row, column and term of a multiply-add, all from 0."""
    entry, term = divmod(step - 1, D)
    return *divmod(entry, K), term


def _matrices(product: Product, sizes: tuple[int, int, int], step: int) -> Iterator[str]:
    B, D, K = sizes
    cell = _cell(D, K)
    left = (WIDTH - (D + 2 * K) * cell - 2 * _GAP) / 2
    shapes = (product.left, B, D, "·"), (product.right, D, K, "="), (product.output, B, K, "")
    for (tensor, height, width, sign), looks in zip(shapes, _looks(sizes, step), strict=True):
        yield words(left + width * cell / 2, 12, f"{tensor}", "code")
        for place in itertools.product(range(height), range(width)):
            x, y = left + place[1] * cell + 1, _TOP + place[0] * cell + 1
            yield rect(x, y, cell - 2, cell - 2, looks.get(place, ""))
            if tensor is product.output:
                terms = min(D, max(0, step - D * (place[0] * K + place[1])))
                yield words(x + cell / 2 - 1, y + cell / 2 - 1, f"{terms}")
        left += width * cell + _GAP
        if sign:
            yield words(left - _GAP / 2, _TOP + max(B, D) * cell / 2, sign, "strong")


def _looks(sizes: tuple[int, int, int], step: int) -> list[dict[tuple[int, int], str]]:
    """Return how the cells of the three matrices look: what meets what now, and the sums so far."""
    _, D, K = sizes
    left: dict[tuple[int, int], str] = {}
    right: dict[tuple[int, int], str] = {}
    if step:
        row, column, term = _place(step, D, K)
        left = {(row, d): "forward" for d in range(D)} | {(row, term): "forward full"}
        right = {(d, column): "forward" for d in range(D)} | {(term, column): "forward full"}
    begun = range(-(-step // D))
    result = {divmod(entry, K): "forward full" if step >= (entry + 1) * D else "forward" for entry in begun}
    return [left, right, result]


def _what(product: Product, sizes: tuple[int, int, int], step: int, exact: bool) -> str:
    """Say what a step does, and when an entry is finished."""
    B, D, K = sizes
    if not step:
        return f"nothing is done. After how many steps is {entry(product.output.name, 0, 1)} finished?"
    if step == B * D * K:
        return f"{product.output.name} is finished. Each of its {B * K} sums has {D} terms and {D - exact} additions."
    row, column, term = _place(step, D, K)
    result = entry(product.output.name, row, column)
    verb = "finishes" if term == D - 1 else "begins" if term == 0 else "goes on with"
    does = f"{entry(product.left.name, row, term)} · {entry(product.right.name, term, column)} {verb} {result}."
    return does + f" At which step is {result} finished?" * (verb == "begins")
