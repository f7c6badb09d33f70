"""Draw a product that is worked out tile by tile, and what goes through the memory meanwhile."""

from collections import Counter, OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import product as combinations

from flopbook.drawing.controls import Slider, Steps
from flopbook.drawing.matrices import matrix_sizes
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.products import Product
from flopbook.predict.roofline import arithmetic_intensity
from flopbook.predict.values import evaluate
from flopbook.tables import Table
from flopbook.units import plain

__all__ = ["blocked_product"]

_GAP, _TOP = 24.0, 26.0
_FITS = 3  # tiles of which the fast memory has room: one of each matrix
_BYTES, _PARTS = 2, 12

Tile = tuple[int, int, int]  # matrix, row and column


@dataclass(frozen=True)
class _Moment:
    """Holds how far a product has come: FLOPs, how often each tile was moved, and which are in the fast memory."""

    flops: int
    moved: Counter[Tile]
    fast: tuple[Tile, ...]


def blocked_product(
    product: Product, sizes: Mapping[str, int], *, rows: Sequence[int], tiles: Sequence[int]
) -> Picture:
    """Draw a product of two matrices that is worked out tile by tile, in bfloat16.

    A fast memory has room for one tile of each matrix, and lets go the tile that was used longest ago. Tiles of the
    operands are read, and tiles of the result are written, once all of their terms are added up.

    Parameters
    ----------
    product : Product
        Of two matrices, such as ``matmul("x[B,D] @ w[D,K] -> y[B,K]")``.
    sizes : mapping of str to int
        The size of each letter but the first, small enough to be drawn.
    rows, tiles : sequence of int
        Sizes of the first letter, and sides of a tile, upwards. What a tile lacks at an edge is left out.

    Raises
    ------
    TypeError, ValueError
        If it is not a product of a matrix of rows with a matrix of columns, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> picture = blocked_product(y, dict(D=6, K=8), rows=[1, 4], tiles=[1, 2, 8])
    >>> print(picture.frame(rows=4, tile=8, part=12).sentence)
    384 FLOPs and 208 bytes: 1.85 FLOP per byte. Each number was moved once: no order of the work needs fewer bytes.
    """
    letter = product.left.axes[0] if isinstance(product, Product) else "B"
    most = matrix_sizes(product, {**sizes, letter: max(rows)})

    @cache
    def run(height: int, tile: int) -> list[_Moment]:
        return list(_run((height, *most[1:]), tile))

    def draw(rows: int, tile: int, part: int) -> Frame:  # the address calls them so
        shape = (rows, *most[1:])
        moments = run(rows, tile)
        moment = moments[-(-part * (len(moments) - 1) // _PARTS)]
        moved = _bytes(moment, shape, tile)
        best = evaluate(arithmetic_intensity(product, _BYTES), {**sizes, letter: rows})
        return Frame(
            [*_matrices(product, most, shape, tile, moment)],
            _sentence(moment, moved, _bytes(moments[-1], shape, tile) * best == moments[-1].flops, part == _PARTS),
            Table(
                ["", "FLOPs", "bytes", "FLOP per byte"],
                [
                    ("so far", moment.flops, moved, plain(moment.flops / moved) if moved else None),
                    ("at best", int(moments[-1].flops), int(moments[-1].flops / best), plain(best)),
                ],
            ),
        )

    return Picture(
        "tiles",
        f"Tiles of {product}, and the bytes that they move",
        _TOP + max(most[:2]) * _cell(most) + 26,
        draw,
        [
            Slider("rows", f"{letter}, rows", list(rows), max(rows)),
            Slider("tile", "Side of a tile", list(tiles)),
            Steps("part", "Part of the work", range(_PARTS + 1), start=_PARTS // 3),
        ],
    )


def _order(sizes: Sequence[int], tile: int) -> Iterator[tuple[int, int, int]]:
    """List the products of tiles in their order: for each tile of the result, all of its terms."""
    B, D, K = (-(-size // tile) for size in sizes)
    for b, k, d in combinations(range(B), range(K), range(D)):
        yield b, d, k


def _run(sizes: Sequence[int], tile: int) -> Iterator[_Moment]:
    """Work out the product tile by tile; the fast memory lets go what was used longest ago."""
    moved: Counter[Tile] = Counter()
    fast: OrderedDict[Tile, None] = OrderedDict()
    flops = 0
    yield _Moment(0, Counter(), ())
    for b, d, k in _order(sizes, tile):
        for wanted in ((0, b, d), (1, d, k), (2, b, k)):
            if wanted not in fast:
                moved[wanted] += 1  # an operand is read now, a result is written when it goes
                if len(fast) == _FITS:
                    fast.popitem(last=False)
            fast[wanted] = None
            fast.move_to_end(wanted)
        lengths = [min(tile, size - tile * place) for size, place in zip(sizes, (b, d, k), strict=True)]
        flops += 2 * lengths[0] * lengths[1] * lengths[2]
        yield _Moment(flops, moved.copy(), tuple(fast))


def _shapes(sizes: Sequence[int]) -> list[tuple[int, int]]:
    B, D, K = sizes
    return [(B, D), (D, K), (B, K)]


def _bytes(moment: _Moment, sizes: Sequence[int], tile: int) -> int:
    total = 0
    for (matrix, row, column), times in moment.moved.items():
        height, width = _shapes(sizes)[matrix]
        total += times * min(tile, height - tile * row) * min(tile, width - tile * column)
    return _BYTES * total


def _cell(sizes: Sequence[int]) -> float:
    return (WIDTH - 2 * _GAP - 12) / sum(width for _, width in _shapes(sizes))


def _matrices(product: Product, most: Sequence[int], sizes: Sequence[int], tile: int, moment: _Moment) -> Iterator[str]:
    """Draw each number with how often it was moved; what is in the fast memory is filled."""
    cell, left, bottom = _cell(most), 6.0, _TOP + max(most[:2]) * _cell(most)
    for matrix, (tensor, (height, _), (tallest, widest)) in enumerate(
        zip((product.left, product.right, product.output), _shapes(sizes), _shapes(most), strict=True)
    ):
        yield words(left + widest * cell / 2, 12, f"{tensor}", "code")
        for row, column in combinations(range(tallest), range(widest)):
            at = matrix, row // tile, column // tile
            x, y = left + column * cell, _TOP + row * cell
            if row >= height:
                yield from ["<g/>"] * 2
            elif at in moment.fast:
                yield rect(x, y, cell - 2, cell - 2, "bytes", stroke_width=2.5)
                yield words(x + cell / 2 - 1, y + cell / 2, f"{moment.moved[at]}", "strong")
            else:
                yield rect(x, y, cell - 2, cell - 2, "" if moment.moved[at] else "faint")
                yield words(x + cell / 2 - 1, y + cell / 2, f"{moment.moved[at]}" if moment.moved[at] else "")
        left += widest * cell + _GAP
    yield rect(8, bottom + 11, 11, 11, "bytes", stroke_width=2.5)
    yield words(26, bottom + 16, "in the fast memory", "start")
    yield words(WIDTH - 6, bottom + 16, "number: how often it was moved", "end")


def _sentence(moment: _Moment, moved: int, best: bool, done: bool) -> str:
    if not moved:
        return "Nothing is done yet. How often will each number of the two operands be read?"
    said = f"{moment.flops:,} FLOPs and {moved:,} bytes: {plain(moment.flops / moved)} FLOP per byte."
    if not done:
        return f"{said} A tile that is used again need not be read again. How often is each read in the end?"
    if best:
        return f"{said} Each number was moved once: no order of the work needs fewer bytes."
    most = max(moment.moved.values())
    return f"{said} Some numbers were moved {most} times. Which tile makes it fewer, and which B makes that useless?"
