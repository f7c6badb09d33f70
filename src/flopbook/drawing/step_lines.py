"""Draw a whole training step, one of its lines after the other: forward, backward and update."""

from collections.abc import Mapping, Sequence
from fractions import Fraction

from sympy import Expr

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider, Steps
from flopbook.drawing.graph import StepGraph
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import words
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import evaluate
from flopbook.tables import Cell, Table, Total

_LINES = ["zero_grad", "forward and loss", "backward", "update"]


def whole_step(
    step: TrainingStep,
    pointwise: Mapping[str, Expr],
    updates: Mapping[str, Expr | int],
    sizes: Mapping[str, int],
    batches: Sequence[int],
) -> Picture:
    """Draw the lines of a training step: its products as arrows, and its pointwise FLOPs in the bars.

    Parameters
    ----------
    step : TrainingStep
        Of layers that follow each other.
    pointwise : mapping of str to Expr
        The FLOPs of each element of ``forward`` and of ``backward``.
    updates : mapping of str to Expr or int
        The FLOPs of the update by the name of the optimizer; the first is drawn first.
    sizes : mapping of str to int
        The size of each letter; that of ``B``, the batch, is where its slider starts.
    batches : sequence of int
        The sizes that the batch can be set to.

    Raises
    ------
    TypeError, ValueError
        If the layers do not follow each other, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict import B, H, K, matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"), data="x")
    >>> updates = dict(SGD=2 * 56, AdamW=14 * 56)
    >>> picture = whole_step(step, dict(forward=B * H, backward=B * K), updates, dict(B=4, D=3, H=5, K=8), [1, 4])
    >>> print(picture.frame(line="update", optimizer="AdamW").sentence)
    AdamW changes the parameters with 784 FLOPs, 38.5% of this step. What share is it with another batch?
    """
    sizes = checks.sizes(sizes)
    layers, trained = step.forward, [tensor.grad.name for tensor in step.trained]
    flops = {
        batch: {each: int(evaluate(each.flops, {**sizes, "B": batch})) for each in (*layers, *step.backward)}
        for batch in batches
    }
    more = {
        batch: {name: int(evaluate(each, {**sizes, "B": batch})) for name, each in pointwise.items()}
        for batch in batches
    }
    changed = {name: int(evaluate(each, sizes)) for name, each in updates.items()}
    graphs = {batch: StepGraph(layers, max(flops[batch].values()), times=1, rows=3) for batch in batches}

    def draw(line: str, optimizer: str, batch: int) -> Frame:
        now, graph, extra = _LINES.index(line), graphs[batch], more[batch]
        forward, backward = (sum(flops[batch][each] for each in products) for products in (layers, step.backward))
        update = changed[optimizer]
        total = forward + backward + sum(extra.values()) + update
        shapes = [] if now else [words(220, graph.errors, "which line takes how many FLOPs?", "strong")]
        rows: list[tuple[Cell, ...]] = [("zero_grad", 0)]
        if now > 0:
            shapes += [*graph.forward(flops[batch]), *graph.loss()]
            shapes += graph.bar(0, "forward", [(forward, "forward"), (extra["forward"], "forward full")], total)
            rows += [("forward, products", forward), ("forward, pointwise", extra["forward"])]
        if now > 1:
            for product in step.backward:
                shapes += graph.product(product, flops[batch][product], "backward")
                made = product.output.name
                shapes += graph.tensor(made, "optimizer" if now > 2 and made in trained else "")
            shapes += graph.tensor(graph.columns[-1].grad.name, "")
            shapes += graph.bar(1, "backward", [(backward, "backward"), (extra["backward"], "backward full")], total)
            rows += [("backward, products", backward), ("backward, pointwise", extra["backward"])]
        if now > 2:
            shapes += graph.bar(2, "update", [(update, "optimizer")], total)
            rows += [("update", update), Total(("the step", total))]
        said = [
            "zero_grad forgets the gradients of the step before, and takes no FLOP. "
            "Which of the other lines takes most? Step on.",
            f"Forward, the products take {forward:,} FLOPs. Biases, activations and the loss are the dark end of the "
            f"bar, {extra['forward']:,} FLOPs: they are pointwise. How many does backward take?",
            f"Backward takes {backward:,} FLOPs of products, {float(Fraction(backward, forward)):.4f} times those of "
            f"forward, and {extra['backward']:,} that are pointwise. What does the update take?",
            f"{optimizer} changes the parameters with {update:,} FLOPs, {update / total:.1%} of this step. "
            "What share is it with another batch?",
        ]
        return Frame(shapes, said[now], Table(["line", "FLOPs"], rows))

    return Picture(
        "whole-step",
        "The lines of a training step",
        graphs[batches[0]].height,
        draw,
        [
            Steps("line", "Line", _LINES, start=_LINES[1]),
            Choice("optimizer", "Optimizer", list(updates)),
            Slider("batch", "B, samples", batches, start=sizes["B"]),
        ],
    )
