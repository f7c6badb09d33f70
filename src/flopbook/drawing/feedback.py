"""Draw three ways to send an error back: through the weights, through random matrices, and straight from the output."""

from collections.abc import Iterable, Mapping, Sequence

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.graph import StepGraph
from flopbook.drawing.picture import Frame, Picture
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import evaluate
from flopbook.tables import Table, Total

_LIFT = 23.0  # units for the arrows over one more column


def error_paths(
    steps: Mapping[str, TrainingStep], sizes: Mapping[str, int], letter: str, values: Sequence[int]
) -> Picture:
    """Draw the same layers with other backward products, each an arrow that is as wide as its FLOPs.

    Parameters
    ----------
    steps : mapping of str to TrainingStep
        Each way by its name, with the same layers forward. The first is what the others are compared with.
    sizes : mapping of str to int
        The size of each letter, and where the slider starts.
    letter : str
        The letter whose size the reader sets, such as ``K``.
    values : sequence of int
        The sizes that the letter can be set to.

    Raises
    ------
    TypeError, ValueError
        If the layers do not follow each other, are not the same in all steps, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> layers = [
    ...     matmul("x[B,D] @ w1[D,G] -> g[B,G]"),
    ...     matmul("g[B,G] @ w2[G,H] -> h[B,H]"),
    ...     matmul("h[B,H] @ w3[H,K] -> y[B,K]"),
    ... ]
    >>> backprop = training_step(*layers, data="x")
    >>> of_weights = [product for product in backprop.backward if product.output.name.startswith("w")]
    >>> direct = matmul("y.grad[B,K] @ r3[K,H] -> h.grad[B,H]"), matmul("y.grad[B,K] @ r2[K,G] -> g.grad[B,G]")
    >>> steps = dict(backprop=backprop, DFA=TrainingStep(backprop.forward, (*of_weights, *direct)))
    >>> picture = error_paths(steps, dict(B=2, D=3, G=5, H=7, K=4), "K", [2, 4, 8])
    >>> print(picture.frame(way="DFA").sentence)
    With K = 4, DFA takes 504 FLOPs backward, 60 fewer than backprop. Slide K: where do both take as many?
    """
    sizes = checks.sizes(sizes)
    if not steps:
        raise ValueError(f"steps={checks.quoted(steps)} has no step: give at least two, each by its name")
    name, base = next(iter(steps.items()))
    for other, step in steps.items():
        if step.forward != base.forward:
            raise ValueError(f"{other} and {name} have other layers forward: give steps with the same layers")
    layers = base.forward
    at = {value: _flops(steps.values(), {**sizes, letter: value}) for value in values}
    forward = [_sum(flops, layers) for flops in at.values()]
    backward = {way: [_sum(flops, step.backward) for flops in at.values()] for way, step in steps.items()}
    graph = StepGraph(
        layers,
        max(max(flops.values()) for flops in at.values()),
        max(back / once for way in backward.values() for back, once in zip(way, forward, strict=True)),
        _LIFT * (len(layers) - 2),
    )

    def draw(way: str, size: int) -> Frame:
        flops, step = at[size], steps[way]
        once, back, compared = (_sum(flops, products) for products in (layers, step.backward, base.backward))
        shapes = [*graph.forward(flops), *graph.loss(), *graph.tensor(graph.columns[-1].grad.name, "")]
        for product in sorted(step.backward, key=lambda product: product.output.name):
            shapes += graph.product(product, flops[product], "backward")
            shapes += graph.tensor(product.output.name, "")
        shapes += graph.bar(0, "forward", [(flops[layer], "forward") for layer in layers], once)
        shapes += graph.bar(1, "backward", [(flops[product], "backward") for product in step.backward], once)
        shapes += graph.mark(compared / once, name)
        rows = [
            *((f"{layer}", flops[layer]) for layer in layers),
            Total(("forward", once)),
            *((f"{product}", flops[product]) for product in step.backward),
            Total(("backward", back)),
            (f"more than {name}", back - compared),
        ]
        return Frame(shapes, said(way, size, back, compared), Table(["product", "FLOPs"], rows))

    def said(way: str, size: int, back: int, compared: int) -> str:
        begins = f"With {letter} = {size:,}, {way} takes {back:,} FLOPs backward"
        if way == name:
            return f"{begins}: each error goes back through the next layer's weights. Does another way take fewer?"
        if backward[way] == backward[name]:
            return f"{begins}, as many as {name}: a random matrix costs as much as weights of the same shape."
        if back == compared:
            return f"{begins}, as many as {name}: here the output is as wide as the layers that its error passes over."
        more = "more" if back > compared else "fewer"
        return f"{begins}, {abs(back - compared):,} {more} than {name}. Slide {letter}: where do both take as many?"

    return Picture(
        "error-paths",
        "Ways to send an error back",
        graph.height,
        draw,
        [Choice("way", "The error goes by", list(steps)), Slider("size", f"{letter}", values, start=sizes[letter])],
    )


def _flops(steps: Iterable[TrainingStep], sizes: Mapping[str, int]) -> dict[Product, int]:
    products = {product for step in steps for product in (*step.forward, *step.backward)}
    return {product: int(evaluate(product.flops, sizes)) for product in products}


def _sum(flops: Mapping[Product, int], products: Iterable[Product]) -> int:
    return sum(flops[product] for product in products)
