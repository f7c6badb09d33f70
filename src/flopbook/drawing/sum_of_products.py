"""Draw a dot product as a circuit, and what one may count in it."""

from collections.abc import Iterator, Sequence

from flopbook.checks import quoted
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, path, rect, words
from flopbook.predict.products import Product
from flopbook.predict.values import evaluate
from flopbook.tables import Table

_NOTHING, _OPERATIONS, _MACS, _CONVENTION = "nothing yet", "operations", "multiply-accumulates", "FLOPs, by convention"
_COLUMN, _RADIUS = 46.0, 12.0
_NAMES, _TIMES, _PLUS, _BOTTOM = 14.0, 52.0, 108.0, 134.0


def dot_product(product: Product, lengths: Sequence[int], start: int) -> Picture:
    """Draw each multiplication and addition of a dot product, numbered as one counts them.

    Parameters
    ----------
    product : Product
        ``matmul("x[D] @ w[D] -> y[]")``.
    lengths : sequence of int
        How many numbers a vector may have; at least 2, and at most 8, which is what fits.
    start : int
        How many it has at first.

    Raises
    ------
    TypeError, ValueError
        If it is not a dot product, or a length does not fit.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> picture = dot_product(matmul("x[D] @ w[D] -> y[]"), [3, 4, 5], start=5)
    >>> print(picture.frame(count="operations").sentence)
    5 multiplications and 4 additions: 9 operations, 2D - 1. The first product is added to nothing.
    """
    if not isinstance(product, Product):
        raise TypeError(f"{quoted(product)} is not a product: write matmul('x[D] @ w[D] -> y[]')")
    if product.output.axes or len(product.axes) != 1:
        raise ValueError(f"{product} is not a dot product: write matmul('x[D] @ w[D] -> y[]')")
    if not all(2 <= length <= 8 for length in lengths):
        raise ValueError(f"lengths={quoted(lengths)} do not fit: give lengths from 2 to 8")
    (letter,) = product.axes
    formulas = {_OPERATIONS: product.flops - 1, _MACS: product.macs, _CONVENTION: product.flops}
    written = {what: f"{formula}".replace("*", "") for what, formula in formulas.items()}

    def draw(count: str, length: int) -> Frame:
        counts = {what: int(evaluate(formula, {letter: length})) for what, formula in formulas.items()}
        return Frame(
            [
                *_operands(product, length),
                *_wires(product, length, count),
                *_nodes(length, count),
                *_boxes(length, count),
            ],
            _sentence(counts, written.get(count, ""), length, count),
            Table(["what is counted", "formula", "count"], [(what, written[what], counts[what]) for what in counts]),
        )

    return Picture(
        "dot-product",
        "What one can count in a dot product",
        _BOTTOM + 20,
        draw,
        [
            Choice("count", "Count", [_NOTHING, *formulas]),
            Slider("length", f"{letter}, numbers in a vector", list(lengths), start),
        ],
    )


def _sentence(counts: dict[str, int], formula: str, length: int, count: str) -> str:
    if count == _OPERATIONS:
        said = (
            f"{length} multiplications and {counts[count] - length} additions: {counts[count]} operations, {formula}."
        )
        return f"{said} The first product is added to nothing."
    if count == _MACS:
        return (
            f"{length} multiply-accumulates, {formula}: each multiplies once and adds once, the first of them to zero."
        )
    if count == _CONVENTION:
        said = f"{length} multiplications and {counts[count] - length} additions, the first of them to zero"
        return f"{said}: {counts[count]} FLOPs, {formula}. The field counts like that, and so does this book."
    return (
        f"Each circle is an operation on two numbers. How many FLOPs does the dot product of {length} pairs take? "
        "Decide, then choose what to count."
    )


def _x(column: int, length: int) -> float:
    return WIDTH / 2 + _COLUMN * (column + 0.5 - length / 2)


def _operands(product: Product, length: int) -> Iterator[str]:
    for column in range(length):
        number = str(column + 1).translate(str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉"))
        yield words(_x(column, length), _NAMES, f"{product.left.name}{number} {product.right.name}{number}")
        yield line(_x(column, length) - 8, _NAMES + 8, _x(column, length) - 5, _TIMES - 10)
        yield line(_x(column, length) + 8, _NAMES + 8, _x(column, length) + 5, _TIMES - 10)


def _wires(product: Product, length: int, count: str) -> Iterator[str]:
    """Draw how products and sums go on: from the left to the right."""
    zero = count in {_MACS, _CONVENTION}
    for column in range(length):
        x, first = _x(column, length), column == 0 and not zero
        if first:
            yield path((x, _TIMES + _RADIUS), (x, _PLUS), (_x(1, length) - _RADIUS, _PLUS), closed=False)
        else:
            yield line(x, _TIMES + _RADIUS, x, _PLUS - _RADIUS)
        end = _x(column + 1, length) - (_RADIUS if column < length - 1 else 16)
        yield "<g/>" if first else line(x + _RADIUS, _PLUS, end, _PLUS)
    yield words(_x(length, length) - 8, _PLUS, product.output.name, "strong")
    yield words(_x(0, length) - 33, _PLUS, "0") if zero else "<g/>"
    yield line(_x(0, length) - 27, _PLUS, _x(0, length) - _RADIUS, _PLUS, stroke_dasharray="3 2") if zero else "<g/>"


def _nodes(length: int, count: str) -> Iterator[str]:
    """Draw the operations, and number those that count."""
    zero = count in {_MACS, _CONVENTION}
    numbered = count in {_OPERATIONS, _CONVENTION}
    for column in range(length):
        for row, (y, sign) in enumerate([(_TIMES, "×"), (_PLUS, "+")]):
            if sign == "+" and column == 0 and not zero:
                yield from ["<g/>"] * 3
                continue
            number = column + 1 if row == 0 else length + column + zero
            yield element("circle", cx=_x(column, length), cy=y, r=_RADIUS, kind="" if count == _NOTHING else "forward")
            yield words(_x(column, length), y, sign, "strong")
            yield words(_x(column, length) + 15, y + 15, str(number), "strong") if numbered else "<g/>"


def _boxes(length: int, count: str) -> Iterator[str]:
    """Draw a box around each multiply-accumulate."""
    for column in range(length if count == _MACS else 0):
        yield rect(_x(column, length) - 19, _TIMES - 17, 38, _PLUS - _TIMES + 34)
        yield words(_x(column, length), _BOTTOM + 6, str(column + 1), "strong")
