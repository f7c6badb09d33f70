"""Draw a model that runs on sizes alone: what each product makes, and the formula so far."""

from collections.abc import Iterator, Mapping
from typing import Any

import sympy

from flopbook import checks
from flopbook.drawing.controls import Choice, Steps
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.predict.notation import Tensor
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import evaluate
from flopbook.tables import Table

_LETTERS, _NUMBERS = "letters", "numbers"
_PLACES = 78.0, 214.0, 362.0  # where the two operands and the result are
_HIGH = 58.0


def run_on_letters(step: TrainingStep, sizes: Mapping[str, int]) -> Picture:
    """Draw a training step that runs product by product, on tensors that have sizes and no numbers in them.

    Parameters
    ----------
    step : TrainingStep
        Made of products of matrices.
    sizes : mapping of str to int
        The size of each letter, for who wants to see numbers.

    Raises
    ------
    TypeError, ValueError
        If it is not a step, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"), data="x")
    >>> picture = run_on_letters(step, dict(B=3, D=5, K=7))
    >>> print(picture.frame(step=2).sentence)
    Product 2 of 2, backward: (B, D) meets (B, K) and makes (D, K). It takes 2BDK FLOPs, 4BDK so far. The \
rules are the same at numbers.
    """
    if not isinstance(step, TrainingStep):
        raise TypeError(f"{checks.quoted(step)} is not a training step: write training_step(...)")
    products = [("forward", product) for product in step.forward] + [("backward", product) for product in step.backward]
    known = checks.sizes(sizes)

    def written(expression: Any, kind: str) -> str:
        return f"{evaluate(expression, known):,}" if kind == _NUMBERS else _letters(expression)

    def shape(tensor: Tensor, kind: str) -> str:
        return "(" + ", ".join(f"{known[axis]:,}" if kind == _NUMBERS else axis for axis in tensor.axes) + ")"

    def draw(kind: str, step: int) -> Frame:
        phase, product = products[step - 1]
        so_far = sympy.expand(sympy.Add(*(done.flops for _, done in products[:step])))
        own, total = written(product.flops, kind), written(so_far, kind)
        ends = [shape(tensor, kind) for tensor in _tensors(product)]
        asks = "What will the sum be at the end?" if step < len(products) else "The rules are the same at numbers."
        said = f"Product {step} of {len(products)}, {phase}: {ends[0]} meets {ends[1]} and makes {ends[2]}. "
        rows = [
            (f"{one}", name, written(one.flops, kind) if number < step else None)
            for number, (name, one) in enumerate(products)
        ]
        return Frame(
            list(_drawn(product, ends, phase, own, total)),
            f"{said}It takes {own} FLOPs, {total} so far. {asks}",
            Table(["product", "pass", "FLOPs"], rows, labels=2),
        )

    return Picture(
        "run-on-letters", "A step that runs on sizes alone", 168, draw,
        [Choice("kind", "Sizes", [_LETTERS, _NUMBERS]), Steps("step", "Product", range(1, len(products) + 1))],
    )  # fmt: skip


def _tensors(product: Product) -> tuple[Tensor, Tensor, Tensor]:
    return product.left, product.right, product.output


def _letters(expression: sympy.Expr) -> str:
    """Write a sum of products of letters as people do.

    >>> from flopbook.predict import B, D, K
    >>> _letters(2 * B * D * K + 4 * B * D)
    '2BDK + 4BD'
    """
    return str(expression).replace("*", "")


def _drawn(product: Product, ends: list[str], phase: str, own: str, total: str) -> Iterator[str]:
    """Draw two tensors that meet and the one that they make, hollow, since no number is in them."""
    yield words(_PLACES[0] / 2 + _PLACES[1] / 2, 60, "@", "strong")
    yield words(_PLACES[1] / 2 + _PLACES[2] / 2, 60, "→", "strong")
    for x, tensor, sides in zip(_PLACES, _tensors(product), ends, strict=True):
        yield words(x, 14, tensor.name, "code")
        yield rect(x - 50, 30, 100, _HIGH, phase, fill_opacity=0, stroke_dasharray="6 3")
        yield words(x, 60, sides)
    yield words(WIDTH / 2, 116, f"{own} FLOPs")
    yield words(WIDTH / 2, 144, f"so far {total}", "strong")
