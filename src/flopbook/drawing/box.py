"""Draw a product of two matrices as a box of unit cubes, and what its gradients sum the same cubes to."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from math import sqrt

from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.matrices import entry, matrix_sizes
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, arrow, path, words
from flopbook.predict.notation import Tensor
from flopbook.predict.products import Product
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total

_FLAT = 0.25  # how thick a flattened box is, of what it was
_GAP = 0.9  # between the box and a matrix beside it, in cubes
_SMALLEST, _LARGEST = 12.0, 24.0  # sides of a cube

_ACROSS = sqrt(3) / 2  # what a cube is wide on either side, seen from its corner


def product_box(product: Product, sizes: Mapping[str, int]) -> Picture:
    """Draw a product of two matrices as a box of cubes, one for each multiply-add.

    The three matrices lie beside three sides of the box. The product and its two gradients flatten the same box, each
    along another letter.

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
    >>> picture = product_box(matmul("x[B,D] @ w[D,K] -> y[B,K]"), dict(B=2, D=4, K=3))
    >>> print(picture.frame(made="w.grad", cube=11).sentence)
    Summed over B, the same 24 cubes make w.grad: x₁₃ · y.grad₁₃ goes to w.grad₃₃, a sum of 2. 48 FLOPs, as y.
    """
    ends = matrix_sizes(product, sizes)
    rows, terms, columns = ends
    cubes = rows * terms * columns
    products = {made.output.name: made for made in (product, *product.gradients)}
    letters = dict(zip((*product.left.axes, product.right.axes[1]), ends, strict=True))
    flops = {name: int(evaluate(made.flops, sizes)) for name, made in products.items()}
    box = _Box(product, ends)
    first = "all its cubes"

    def draw(made: str, cube: int) -> Frame:
        place = _place(cube - 1, ends)
        head = ["product", "summed over", "terms of a sum", "sums", "FLOPs"]
        lines = [
            (f"{each}", _summed(each), letters[_summed(each)], cubes // letters[_summed(each)], flops[name])
            for name, each in products.items()
        ]
        total = Total(("all three", None, None, None, sum(flops.values())))
        return Frame(list(box.shapes(products.get(made), place)), said(made, place), Table(head, [*lines, total]))

    def said(made: str, place: tuple[int, int, int]) -> str:
        result = product.output.name
        if made == first:
            return (
                f"{rows} · {terms} · {columns} = {cubes} cubes, one for each multiply-add of {result}. "
                f"The matrices lie beside the box. How many multiply-adds has {product.right.name}.grad? Make it."
            )
        one, at, summed = products[made], dict(zip(letters, place, strict=True)), _summed(products[made])
        left, right, to = (
            entry(tensor.name, *(at[letter] for letter in tensor.axes)) for tensor in (one.left, one.right, one.output)
        )
        same, end = ("the", "") if made == result else ("the same", f", as {result}")
        return (
            f"Summed over {summed}, {same} {cubes} cubes make {made}: {left} · {right} goes to {to}, "
            f"a sum of {letters[summed]}. {flops[made]} FLOPs{end}."
        )

    return Picture(
        "product-box",
        f"The cubes of {product}, and of its gradients",
        box.height,
        draw,
        [Choice("made", "Make", [first, *products]), Slider("cube", "Cube", range(1, cubes + 1))],
    )


def _place(cube: int, ends: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return row, term and column of a cube; the term runs fastest."""
    sums, term = divmod(cube, ends[1])
    row, column = divmod(sums, ends[2])
    return row, term, column


def _summed(product: Product) -> str:
    """Return the letter that a product sums over."""
    (letter,) = set(product.axes) - set(product.output.axes)
    return letter


class _Box:
    """Draws the box and the matrices from the corner that is nearest; rows go to the right, and terms down."""

    def __init__(self, product: Product, ends: tuple[int, int, int]):
        self.product, self.ends = product, ends
        rows, terms, columns = ends
        self.away = -columns - _GAP, -(rows + columns) / 2 - _GAP, -rows - _GAP  # where each letter's matrix is
        wide = 2 * (rows + columns) + 2 * _GAP
        above, below = rows + columns + _GAP, terms + (max(rows, columns) + _GAP) / 2
        self.side = max(_SMALLEST, min(_LARGEST, (WIDTH - 20) / _ACROSS / wide, 300 / (above + below)))
        self.corner = WIDTH / 2 - (rows - columns) * _ACROSS * self.side, 24 + self.side * above
        self.height = self.corner[1] + self.side * below + 6

    def shapes(self, made: Product | None, place: tuple[int, int, int]) -> Iterator[str]:
        """Draw the box as one makes something of it, and a cube with what it multiplies."""
        letters = *self.product.left.axes, self.product.right.axes[1]
        summed = letters.index(_summed(made)) if made else -1
        flat = tuple(_FLAT if axis == summed else 1.0 for axis in range(3))
        row, term, column = place
        cube = row, term, self.ends[2] - 1 - column  # so that the first column is on the left
        line = tuple(0 if axis == summed else at for axis, at in enumerate(cube))
        for axis in range(3):
            for at in self._cells(axis):
                yield path(*self._side(axis, 0, at, flat), fill="transparent", data_set=f"cube={self._number(at)}")
        for axis in range(3):  # the cubes that are added up, of which one is the chosen
            size = tuple(self.ends[other] if other == summed else 1 for other in range(3))
            yield path(*self._side(axis, line[axis], line, flat, size), fill="currentColor")
        for axis in range(3):
            yield path(*self._side(axis, cube[axis], cube, flat), fill="currentColor", fill_opacity=0.7)
        drawn = made or self.product
        for axis, letter in enumerate(letters):
            (tensor,) = (each for each in (drawn.left, drawn.right, drawn.output) if letter not in each.axes)
            yield from self._matrix(axis, tensor, cube, tensor == drawn.output)
            yield self._arrow(axis, tensor == drawn.output) if made else "<g/>"

    def _matrix(self, axis: int, tensor: Tensor, cube: Sequence[int], made: bool) -> Iterator[str]:
        kind = "backward" if tensor.name.endswith(".grad") else "forward"
        for at in self._cells(axis):
            chosen = all(at[other] == cube[other] for other in range(3) if other != axis)
            yield path(*self._side(axis, self.away[axis], at), kind=f"{kind} full" if chosen else kind)
        outer = [0.0, 0.0, 0.0]
        outer[axis] = self.away[axis]
        for other in (0, 2):
            if other != axis:
                outer[other] = self.ends[other]
        x, y = self._at(outer)
        yield words(x, y - 10, f"{tensor}", "code strong" if made else "code")

    def _arrow(self, axis: int, out: bool) -> str:
        """Draw an arrow from a side of the box to the matrix beside it, or the other way."""
        middle = [end / 2 for end in self.ends]
        middle[axis] = 0.38 * self.away[axis]
        near = self._at(middle)
        middle[axis] = 0.62 * self.away[axis]
        far = self._at(middle)
        return arrow(near, far, 4) if out else arrow(far, near, 4)

    def _cells(self, axis: int) -> Iterator[tuple[int, ...]]:
        """Yield the places on a side of the box."""
        return itertools.product(*(range(1 if other == axis else end) for other, end in enumerate(self.ends)))

    def _side(
        self,
        axis: int,
        depth: float,
        at: Sequence[int],
        flat: Sequence[float] = (1, 1, 1),
        size: Sequence[int] = (1, 1, 1),
    ) -> list[tuple[float, float]]:
        """Return the corners of a side of a cube, or of several."""
        one, other = (number for number in range(3) if number != axis)
        corners = []
        for wide, high in ((0, 0), (1, 0), (1, 1), (0, 1)):
            point = [float(number) for number in at]
            point[axis] = depth
            point[one] += wide * size[one]
            point[other] += high * size[other]
            corners.append(self._at(point, flat))
        return corners

    def _number(self, at: Sequence[int]) -> int:
        """Return the number of the cube that one sees at a place."""
        row, term, column = at
        _, terms, columns = self.ends
        return (row * columns + columns - 1 - column) * terms + term + 1

    def _at(self, place: Sequence[float], flat: Sequence[float] = (1, 1, 1)) -> tuple[float, float]:
        """Project a place; 0 is the side of each that one sees, and `flat` shrinks the box toward it."""
        x, y = self.corner
        right, down, left = (size * scale * self.side for size, scale in zip(place, flat, strict=True))
        return x + _ACROSS * (right - left), y - (right + left) / 2 + down
