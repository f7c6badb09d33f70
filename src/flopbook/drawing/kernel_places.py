"""Draw a kernel that moves over a padded image, and how many of its taps are real at each place."""

import itertools
from collections.abc import Iterator, Mapping
from functools import cache

from flopbook import checks
from flopbook.checks import quoted
from flopbook.drawing.controls import Slider, Steps
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, rect, words
from flopbook.predict.models.convolutions import real_taps
from flopbook.predict.products import Product
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total

_TOP, _BETWEEN = 26.0, 30.0
_WIDEST, _REACH = 2, 5  # the most padding, and what the largest kernel reaches over


def moving_kernel(product: Product, sizes: Mapping[str, int]) -> Picture:
    """Draw a square kernel over an image of one channel, place by place.

    A number in the result says how many taps of the kernel are real there; the others fall on padding. A click on it
    moves the kernel there.

    Parameters
    ----------
    product : Product
        ``conv("x[X,Y] * w[R,S] -> y[P,Q]")``, in whatever letters.
    sizes : mapping of str to int
        Of the two letters of the image: at least 5, so that every kernel of the picture fits.

    Raises
    ------
    ValueError
        If it is not such a product, or a size is missing or too small.

    Examples
    --------
    >>> from flopbook.predict import conv
    >>> picture = moving_kernel(conv("x[X,Y] * w[R,S] -> y[P,Q]"), dict(X=5, Y=6))
    >>> print(picture.frame(padding=0).sentence)
    Row 1, column 1 of y: 3 · 3 of 3 · 3 taps are real. At all places together, 108 of 108 taps are real. The formula \
counts 108 taps, 216 FLOPs. No tap falls on padding, and the result is smaller than the image.
    """
    image = _image_sizes(product, sizes)
    cell = (WIDTH - _BETWEEN - 2) / (2 * (image[1] + 2 * _WIDEST))
    most = [size + 2 * _WIDEST for size in image]

    @cache
    def moved(**ways: int) -> _Kernel:
        return _Kernel(product, image, cell, **ways)

    def draw(row: int, column: int, **ways: int) -> Frame:
        return moved(**ways).frame(row - 1, column - 1)

    return Picture(
        "moving-kernel",
        f"The places of a kernel: {product}",
        _TOP + most[0] * cell + 4,
        draw,
        [
            Slider("row", "Row", range(1, most[0] + 1)),
            Steps("column", "Column", range(1, most[1] + 1)),
            Slider("kernel", "Kernel side", (1, 3), start=3),
            Slider("padding", "Padding", range(_WIDEST + 1), start=1),
            Slider("stride", "Stride", (1, 2)),
            Slider("dilation", "Dilation", (1, 2)),
        ],
    )


def _image_sizes(product: Product, sizes: Mapping[str, int]) -> tuple[int, int]:
    known = checks.sizes(sizes)
    write = "write conv('x[X,Y] * w[R,S] -> y[P,Q]')"
    if not isinstance(product, Product):
        raise TypeError(f"{quoted(product)} is not a product: {write}")
    if product.sign != "*" or {len(tensor.axes) for tensor in (product.left, product.right, product.output)} != {2}:
        raise ValueError(f"{product} is not a kernel over an image of one channel: {write}")
    if missing := [letter for letter in product.left.axes if letter not in known]:
        raise ValueError(f"sizes are missing for {', '.join(missing)}: write sizes=dict({missing[0]}=6, ...)")
    high, wide = (known[letter] for letter in product.left.axes)
    if min(high, wide) < _REACH:
        raise ValueError(f"an image of {high} by {wide} is too small: give sizes of at least {_REACH}")
    return high, wide


class _Kernel:
    """Draws one kernel over the image, and counts its taps at all its places."""

    def __init__(self, product: Product, image: tuple[int, int], cell: float, **ways: int):
        self.product, self.image, self.cell = product, image, cell
        self.kernel, self.padding = ways["kernel"], ways["padding"]
        self.stride, self.dilation = ways["stride"], ways["dilation"]
        self.real = [real_taps(size, **ways) for size in image]
        self.result = len(self.real[0]), len(self.real[1])
        given = zip((*product.right.axes, *product.output.axes), (self.kernel, self.kernel, *self.result), strict=True)
        self.flops = int(evaluate(product.flops, dict(given)))
        self.below, self.above = list(self._padded_image()), [*self._numbers(), *self._handles()]
        self.table = self._table()

    def frame(self, row: int, column: int) -> Frame:
        """Draw the kernel at a place; behind the last one it stays where it is."""
        row, column = min(row, self.result[0] - 1), min(column, self.result[1] - 1)
        shapes = [*self.below, self._taps(row, column), self._chosen(row, column), *self.above]
        return Frame(shapes, self._said(row, column), self.table)

    def _table(self) -> Table:
        letters = self.product.output.axes
        (along_p, along_q) = ((len(counts), self.kernel * len(counts), sum(counts)) for counts in self.real)
        both = (one * other for one, other in zip(along_p, along_q, strict=True))
        lines = (f"along {letters[0]}", *along_p), (f"along {letters[1]}", *along_q)
        return Table(["", "places", "taps", "real taps"], [*lines, Total(("both, multiplied", *both))])

    def _said(self, row: int, column: int) -> str:
        every, counted = sum(self.real[0]) * sum(self.real[1]), self.flops // 2
        return (
            f"Row {row + 1}, column {column + 1} of {self.product.output.name}: {self.real[0][row]} · "
            f"{self.real[1][column]} of {self.kernel} · {self.kernel} taps are real. At all places together, "
            f"{every} of {counted} taps are real. The formula counts {counted} taps, {self.flops} FLOPs. "
            + self._lesson(every < counted)
        )

    def _lesson(self, wasted: bool) -> str:
        if wasted:
            return "The other taps multiply zeros. Which settings leave none?"
        if self.result == self.image:
            return "No tap falls on padding, and the result is as large as the image."
        return "No tap falls on padding, and the result is smaller than the image."

    def _padded_image(self) -> Iterator[str]:
        (high, wide), around = self.image, 2 * self.padding
        x, y = 1 + _WIDEST * self.cell, _TOP + _WIDEST * self.cell
        off = self.padding * self.cell
        yield words(x + wide * self.cell / 2, 12, f"{self.product.left}", "code")
        yield self._grid(x - off, y - off, high + around, wide + around, "left-out") if around else "<g/>"
        yield rect(x, y, wide * self.cell, high * self.cell, "forward")
        yield self._grid(x, y, high, wide, "forward line")

    def _numbers(self) -> Iterator[str]:
        (down, across), (x, y) = self.result, self._corner
        yield words(x + self.image[1] * self.cell / 2, 12, f"{self.product.output}", "code")
        yield self._grid(x, y, down, across, "forward line")
        middles = " ".join(f"{x + (column + 0.5) * self.cell:.1f}" for column in range(across))
        for row, met in enumerate(self.real[0]):
            digits = "".join(f"{met * others}" for others in self.real[1])  # of at most one figure each
            yield element("text", digits, x=middles, y=y + (row + 0.5) * self.cell)
        yield from ["<g/>"] * (self.image[0] + 2 * _WIDEST - down)  # so that what follows keeps its place

    @property
    def _corner(self) -> tuple[float, float]:
        return WIDTH / 2 + _BETWEEN / 2, _TOP

    def _grid(self, x: float, y: float, rows: int, columns: int, kind: str) -> str:
        wide, high = columns * self.cell, rows * self.cell
        across = "".join(f"M{x:.1f} {y + row * self.cell:.1f}h{wide:.1f}" for row in range(rows + 1))
        down = "".join(f"M{x + column * self.cell:.1f} {y:.1f}v{high:.1f}" for column in range(columns + 1))
        return element("path", d=across + down, kind=kind)

    def _taps(self, row: int, column: int) -> str:
        steps = [self.dilation * self.cell * tap for tap in range(self.kernel)]
        taps = (rect(x + 2, y + 2, self.cell - 4, self.cell - 4) for y in steps for x in steps)
        x, y = (_WIDEST + self.stride * at - self.padding for at in (column, row))
        place = f"translate({1 + x * self.cell:.1f} {_TOP + y * self.cell:.1f})"
        return f'<g transform="{place}" fill="currentColor" stroke-width="2">{"".join(taps)}</g>'

    def _chosen(self, row: int, column: int) -> str:
        (x, y), cell = self._corner, self.cell
        return rect(x + column * cell, y + row * cell, cell, cell, stroke_width=3)

    def _handles(self) -> Iterator[str]:
        (x, y), cell = self._corner, self.cell
        for row, column in itertools.product(*(range(size + 2 * _WIDEST) for size in self.image)):
            place = f"row={row + 1};column={column + 1}"
            yield rect(x + column * cell, y + row * cell, cell, cell, "handle", data_set=place)
