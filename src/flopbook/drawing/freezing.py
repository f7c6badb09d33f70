"""Draw a training step as a graph, with the products that no longer run when layers are frozen."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from flopbook.drawing.controls import Choice, Tick
from flopbook.drawing.graph import StepGraph, check_layers
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import line, rect, words
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, training_step
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Table, Total

_PLAIN, _WANTED, _EMBEDDED = "data", "data, and its gradient is wanted", "rows of a trained embedding"


def training_graph(layers: Sequence[Product], sizes: Mapping[str, int]) -> Picture:
    """Draw the products of a training step as arrows that are as wide as their FLOPs.

    The reader says how many FLOPs backward takes for each of forward, lets it run, and freezes weights.

    Parameters
    ----------
    layers : sequence of Product
        Each takes what the one before makes, and a weight of its own.
    sizes : mapping of str to int
        The size of each letter.

    Raises
    ------
    TypeError, ValueError
        If the layers do not follow each other, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import matmul
    >>> layers = [matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")]
    >>> picture = training_graph(layers, dict(B=2, D=3, H=5, K=7))
    >>> print(picture.frame(run=True, w1=True).sentence)
    1 of 4 backward products runs: 0.7 FLOPs backward for each FLOP forward. Not run: h.grad, w1.grad, x.grad. A \
gradient is needed only where it leads to something that is trained or wanted.
    """
    check_layers(layers)
    every = training_step(*layers)
    flops = {product: int(evaluate(product.flops, sizes)) for product in every.forward + every.backward}
    graph = StepGraph(layers, max(flops.values()))
    x = layers[0].left.name
    once = sum(flops[layer] for layer in layers)

    def draw(run: bool, x_is: str, **frozen: bool) -> Frame:
        data = x if x_is == _PLAIN else ()
        step = training_step(*layers, data=data, frozen=[name for name, is_frozen in frozen.items() if is_frozen])
        runs = {product: flops[product] * (product in step.backward) for product in every.backward}
        rows: list[tuple[Cell, ...]] = [(f"{layer}", flops[layer]) for layer in layers]
        shapes = [
            *graph.forward(flops),
            *graph.loss(),
            *graph.bar(0, "forward", [(flops[layer], "forward") for layer in layers], once),
            *graph.mark(1, "1 ×"),
            *graph.mark(2, "2 ×"),
            *_embedding(graph, x_is == _EMBEDDED, run),
        ]
        if not run:
            shapes += [words(200, graph.errors + 34, "backward: how many FLOPs?", "strong")]
            sentence = (
                f"Forward, {len(layers)} products take {once:,} FLOPs; an arrow is as wide as its FLOPs. "
                "How many FLOPs does the backward pass take for each FLOP forward? Say a number, then run it."
            )
            return Frame(shapes, sentence, Table(["product", "FLOPs"], [*rows, Total(("forward", once))]))
        for product, ran in runs.items():
            shapes += graph.product(product, ran, "backward")
            shapes += graph.tensor(product.output.name, "" if ran else "left-out")
        shapes += graph.tensor(graph.columns[-1].grad.name, "")
        back = sum(runs.values())
        shapes += graph.bar(1, "backward", [(ran, "backward") for ran in runs.values()], once)
        shapes += graph.mark(back / once, f"{_ratio(back, once)} ×", "", above=False)
        rows += [Total(("forward", once)), *((f"{product}", ran) for product, ran in runs.items())]
        table = Table(["product", "FLOPs"], [*rows, Total(("backward", back))])
        return Frame(
            shapes,
            f"{_counted(step, every)}: {_ratio(back, once)} FLOPs backward for each FLOP forward. "
            + _why(step, every, x),
            table,
        )

    return Picture(
        "training-graph",
        "The products of a training step",
        graph.height,
        draw,
        [
            Tick("run", "run the backward pass"),
            *(Tick(layer.right.name, f"freeze {layer.right.name}") for layer in layers),
            Choice("x_is", f"{x} is", [_PLAIN, _WANTED, _EMBEDDED]),
        ],
    )


def _ratio(back: int, once: int) -> str:
    """Write a ratio with up to four decimals.

    >>> _ratio(2, 1), _ratio(2, 3)
    ('2', '0.6667')
    """
    return f"{float(Fraction(back, once)):.4f}".rstrip("0").rstrip(".")


def _counted(step: TrainingStep, every: TrainingStep) -> str:
    ran, all_of_them = len(step.backward), len(every.backward)
    return f"{ran} of {all_of_them} backward products run{'s' * (ran == 1)}"


def _why(step: TrainingStep, every: TrainingStep, x: str) -> str:
    """Say why backward products run, or do not."""
    missing = [product.output.name for product in every.backward if product not in step.backward]
    if not missing:
        return "Each arrow forward has two backward, and both are as wide."
    if missing == [f"{x}.grad"]:
        return (
            f"Each arrow forward has two backward, and both are as wide; but nobody needs {x}.grad. "
            "Which weight would you freeze to save most?"
        )
    reason = "A gradient is needed only where it leads to something that is trained or wanted."
    return f"Not run: {', '.join(missing)}. {reason}"


def _embedding(graph: StepGraph, there: bool, run: bool) -> list[str]:
    """Draw the table of an embedding, which takes no product."""
    x, y = graph.places[graph.columns[0].name]
    if not there:
        return ["<g/>"] * 6
    table = rect(x - 21, y - 44, 42, 17, "", rx=4), words(x, y - 35, "table"), line(x, y - 27, x, y - 11)
    row = graph.errors + 62
    gradient = rect(1, row - 11, 66, 22, "", rx=4), words(34, row, "table.grad"), line(x, row - 51, x, row - 11)
    return [*table, *(gradient if run else ["<g/>"] * 3)]
