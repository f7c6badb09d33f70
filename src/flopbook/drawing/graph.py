"""Lay out the graph of a training step: tensors in columns, and an arrow for each product, as wide as its FLOPs."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from flopbook.checks import quoted
from flopbook.drawing.svg import WIDTH, arrow, line, path, rect, words
from flopbook.predict.products import Product

_SIDE, _FORWARD, _WIDEST = 30.0, 48.0, 20.0  # the first column, the first row, the width of the widest arrow
_BARS, _LONGEST = 66.0, 262.0  # where bars begin, and how long the longest is


class StepGraph:
    """Lays out layers that follow each other, with all their gradients.

    Forward is the first row, from left to right. The second row sends the error back, from right to left, and the
    third has the gradients of the weights.

    Parameters
    ----------
    layers : sequence of Product
        Each takes what the one before makes, and a weight of its own.
    most : int
        The FLOPs of the widest arrow.
    times : float
        The most FLOPs that a pass takes for each FLOP forward.
    lift : float
        Further units between the first and the second row, for arrows that pass over columns.
    rows : int
        How many bars are below.

    Raises
    ------
    TypeError, ValueError
        If the layers do not follow each other.
    """

    def __init__(self, layers: Sequence[Product], most: int, times: float = 2, lift: float = 0, rows: int = 2):
        check_layers(layers)
        self.layers, self.most, self.times, self.errors = layers, most, times, _FORWARD + 72 + lift
        self.columns = [layers[0].left, *(layer.output for layer in layers)]
        self.bars = self.errors + 105
        self.height = self.bars + 16 + 18 * rows
        step = (WIDTH - 2 * _SIDE - 8) / len(layers)
        self.places = {}
        for number, tensor in enumerate(self.columns):
            self.places[tensor.name] = _SIDE + number * step, _FORWARD
            self.places[tensor.grad.name] = _SIDE + number * step, self.errors
        for number, layer in enumerate(layers, 1):
            self.places[layer.right.grad.name] = _SIDE + number * step, self.errors + 62

    def width(self, flops: int) -> float:
        """Return how wide an arrow is."""
        return _WIDEST * flops / self.most

    def tensor(self, name: str, kind: str) -> Iterator[str]:
        """Draw a tensor."""
        x, y = self.places[name]
        half = self._half(name)
        yield rect(x - half, y - 11, 2 * half, 22, kind, rx=4)
        yield words(x, y, name)

    def forward(self, flops: Mapping[Product, int]) -> Iterator[str]:
        """Draw the forward pass."""
        for tensor in self.columns:
            yield from self.tensor(tensor.name, "")
        for layer in self.layers:
            yield from self.product(layer, flops[layer], "forward")

    def loss(self) -> Iterator[str]:
        """Draw the loss, which is not a product."""
        x, _ = self.places[self.columns[-1].name]
        yield arrow((x, _FORWARD + 12), (x, self.errors - 12), 1)
        yield words(x - 8, _FORWARD + 25, "loss", "end")

    def product(self, product: Product, flops: int, kind: str) -> Iterator[str]:
        """Draw a product as an arrow from its operand that a product made; 0 FLOPs is one that does not run."""
        source, other = product.left.name, product.right.name
        if other.endswith(".grad"):
            source, other = other, source
        (x, y), (to_x, to_y) = self.places[source], self.places[product.output.name]
        kind, said = (kind, _short(flops)) if flops else ("left-out", "not run")
        if x == to_x:
            yield arrow((x, y + 12), (x, to_y - 12), self.width(flops), kind)
            yield words(x - 17, (y + to_y) / 2, f"{other} ·", "end")
            yield words(x, to_y + 21, said)
            return
        side = 1 if to_x > x else -1
        names = [tensor.name for tensor in self.columns]
        apart = abs(names.index(source.removesuffix(".grad")) - names.index(product.output.name.removesuffix(".grad")))
        if apart == 1:
            start, end = x + side * (self._half(source) + 1), to_x - side * (self._half(product.output.name) + 1)
            yield arrow((start, y), (end, y), self.width(flops), kind)
        else:
            yield self._bent(product, flops, kind, apart)
        yield words((x + to_x) / 2 if apart == 1 else to_x + 48, y - 34, f"· {other}")
        yield words((x + to_x) / 2 if apart == 1 else to_x + 48, y - 20, said)

    def _bent(self, product: Product, flops: int, kind: str, apart: int) -> str:
        """Draw an arrow over other columns: up, to the left, and down to the result."""
        (x, _), (to_x, y) = self.places[self.columns[-1].grad.name], self.places[product.output.name]
        half = self.width(flops) / 2
        x += 26 * ((apart - 2) / max(1, len(self.layers) - 3) - 0.5)  # the longest is the outermost
        high = y - 50 - 24 * (apart - 2)
        outline = [
            (x + half, y - 12),
            (x + half, high - half),
            (to_x - half, high - half),
            (to_x - half, y - 22),
            (to_x - half - 3, y - 22),
            (to_x, y - 12),
            (to_x + half + 3, y - 22),
            (to_x + half, y - 22),
            (to_x + half, high + half),
            (x - half, high + half),
            (x - half, y - 12),
        ]
        return path(*outline, kind=kind)

    def _half(self, name: str) -> float:
        return 4.0 + 3.4 * max(3, len(name))

    def bar(self, row: int, label: str, parts: Sequence[tuple[int, str]], once: int) -> Iterator[str]:
        """Draw FLOPs and their kinds as a bar, of which `once` is the unit."""
        y, x = self.bars + 18 * row, _BARS
        yield words(_BARS - 6, y + 7, label, "end")
        yield words(WIDTH - 4, y + 7, f"{sum(part for part, _ in parts):,}", "end")
        for part, kind in parts:
            length = _LONGEST * part / once / self.times
            yield rect(x, y, length, 14, kind)
            x += length

    def mark(self, times: float, text: str, kind: str = "left-out", above: bool = True) -> Iterator[str]:
        """Mark a multiple of the forward pass at the bars."""
        x = _BARS + _LONGEST * times / self.times
        yield line(x, self.bars - 3, x, self.bars + 35, kind)
        yield words(x, self.bars - 9 if above else self.bars + 43, text, "" if above else "strong")


def _short(flops: int) -> str:
    """Write a number that is as wide as a column at most.

    >>> _short(985661440), _short(2147483648)
    ('985,661,440', '2.1 G')
    """
    return f"{flops:,}" if flops < 10**9 else f"{flops / 10**9:,.1f} G"


def check_layers(layers: Sequence[Product]) -> None:
    """Refuse what is not a chain of layers."""
    written = "write [matmul('x[B,D] @ w1[D,H] -> h[B,H]'), matmul('h[B,H] @ w2[H,K] -> y[B,K]')]"
    for layer in layers:
        if not isinstance(layer, Product):
            raise TypeError(f"{quoted(layer)} is not a product: {written}")
    if not layers:
        raise ValueError(f"there are no layers to draw: {written}")
    for before, layer in pairwise(layers):
        if layer.left.name != before.output.name:
            raise ValueError(f"'{layer}' does not begin with {before.output.name}, which '{before}' makes: {written}")
