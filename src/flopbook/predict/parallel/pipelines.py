"""Predict the bubble of a pipeline, what its ranks keep in flight, and the FLOPs of its stages.

The formulas follow from the schedules of :mod:`flopbook.predict.parallel.schedules`.
"""

from collections.abc import Iterable
from typing import NamedTuple

from sympy import Expr, Min

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.models.model import Model
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep, flops
from flopbook.predict.values import number

__all__ = ["Stage", "bubble", "in_flight", "pipeline_stages", "split_backward_bubble", "stage_flops"]


def bubble(ranks: Expr | int, micro_batches: Expr | int, chunks: Expr | int = 1) -> Expr:
    """Predict the share of all ranks' time in which they wait: GPipe, 1F1B, or interleaved in some chunks.

    All stages take the same time. With more than one chunk, the ranks have to divide the micro-batches.

    Raises
    ------
    TypeError, ValueError
        If a number is not a whole one of at least 1, or the ranks do not divide the micro-batches of several chunks.

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> bubble(axis("p"), axis("m"))
    (p - 1)/(m + p - 1)
    >>> bubble(4, 8, chunks=2)
    3/19
    """
    p, m, v = _amounts(ranks, micro_batches, chunks)
    return (p - 1) / (v * m + p - 1)


def split_backward_bubble(ranks: Expr | int, micro_batches: Expr | int) -> Expr:
    """Predict the share in which ranks wait where gradients of weights fill gaps, and all three parts take as long.

    This is so where there are at least as many micro-batches as ranks, m >= p: fewer leave more gaps.

    Raises
    ------
    TypeError, ValueError
        If a number is not a whole one of at least 1, or there are fewer micro-batches than ranks.

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> split_backward_bubble(axis("p"), axis("m"))
    (p - 1)/(3*m + p - 1)
    """
    p, m, _ = _amounts(ranks, micro_batches)
    if p.is_number and m.is_number and m < p:
        raise ValueError(f"micro_batches={quoted(m)} are fewer than ranks={quoted(p)}: give at least {quoted(p)}")
    return (p - 1) / (3 * m + p - 1)


def in_flight(ranks: Expr | int, micro_batches: Expr | int, rank: Expr | int = 0, chunks: int = 1) -> Expr:
    """Predict the forward passes that a rank keeps at the most in 1F1B, each through one of its chunks.

    In GPipe it is all micro-batches; where gradients of weights wait, as many as there are ranks, on each.

    Raises
    ------
    TypeError, ValueError
        If a number is not a whole one in its range, or the ranks do not divide the micro-batches of several chunks.

    Examples
    --------
    >>> from flopbook.predict import axis
    >>> in_flight(axis("p"), axis("m"), axis("r"))
    Min(m, p - r)
    >>> in_flight(4, 8, chunks=2)  # on the first rank
    11
    """
    p, m, v = _amounts(ranks, micro_batches, chunks)
    r = number("rank", rank)
    if p.is_number and r.is_number and r >= p:
        raise ValueError(f"rank={quoted(r)} is not one of {quoted(p)}: give 0 to {quoted(p - 1)}")
    behind = p - 1 - r
    return Min(v * m, behind + 1) if chunks == 1 else Min(v * m, (v - 1) * p + 2 * behind + 1)


def _amounts(ranks: object, micro_batches: object, chunks: object = 1) -> tuple[Expr, Expr, Expr]:
    given = {"ranks": ranks, "micro_batches": micro_batches, "chunks": chunks}
    p, m, v = (number(name, each, least=1) for name, each in given.items())
    if all(each.is_number for each in (p, m, v)) and v > 1 and m % p:
        raise ValueError(
            f"micro_batches={quoted(m)} in {quoted(v)} chunks on {quoted(p)} ranks leave a gap: "
            f"give a multiple of {quoted(p)}"
        )
    return p, m, v


class Stage(NamedTuple):
    """Holds the FLOPs of a stage for one micro-batch.

    Attributes
    ----------
    forward : sympy.Expr
        Of the forward pass.
    input_gradient : sympy.Expr
        Of the gradients that lead to the stage's input: what the stage before waits for.
    weight_gradient : sympy.Expr
        Of the gradients of weights, for which nobody waits.
    """

    forward: Expr
    input_gradient: Expr
    weight_gradient: Expr


def stage_flops(step: TrainingStep, weights: Iterable[str]) -> Stage:
    """Split the FLOPs of a stage: forward, and the two halves of backward.

    Parameters
    ----------
    step : TrainingStep
        The stage's products. The input of the first stage is its data.
    weights : iterable of str
        The names of its weights.

    Raises
    ------
    TypeError, ValueError
        If something else than a step is given, or a weight is not one of its trained inputs.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]"))
    >>> stage_flops(step, weights=["w"])
    Stage(forward=2*B*D*K, input_gradient=2*B*D*K, weight_gradient=2*B*D*K)
    """
    if not isinstance(step, TrainingStep):
        raise TypeError(f"{quoted(step)} is not a step: write training_step(matmul(...), ...)")
    if isinstance(weights, str) or not isinstance(weights, Iterable):
        raise TypeError(f"weights={quoted(weights)} is not a list of names: write weights=['w1', 'w2']")
    trained, named = {tensor.name for tensor in step.trained}, list(weights)
    for name in named:
        if name not in trained:
            raise ValueError(f"weights={quoted(named)} names {quoted(name)}: give some of {sorted(trained)}")
    of_weights = {f"{name}.grad" for name in named}
    halves: dict[bool, list[Product]] = {True: [], False: []}
    for product in step.backward:
        halves[product.output.name in of_weights].append(product)
    return Stage(flops(step.forward), flops(halves[False]), flops(halves[True]))


def pipeline_stages(block: Model, layers: int, stages: int, first: Model, last: Model) -> tuple[Model, ...]:
    """Share equal blocks among stages; the first has what comes before them, the last what comes behind.

    Parameters
    ----------
    block : Model
        One block.
    layers, stages : int
        How many blocks and stages there are: ranks times chunks.
    first, last : Model
        Such as the embedding, and the output layer.

    Raises
    ------
    TypeError, ValueError
        If a part is not a model, or the stages do not divide the layers.

    Examples
    --------
    >>> from flopbook.predict.models import embedding, feed_forward_part, output_layer
    >>> stages = pipeline_stages(feed_forward_part(), 8, 4, first=embedding(), last=output_layer())
    >>> [(stage.forward - stages[0].forward).expand() for stage in stages]
    [0, 0, 0, 2*B*D*T*V]
    """
    for name, part in {"block": block, "first": first, "last": last}.items():
        if not isinstance(part, Model):
            raise TypeError(f"{name}={quoted(part)} is not a model: write attention_part() + feed_forward_part()")
    each, left = divmod(checks.size("layers", layers), checks.size("stages", stages))
    if left:
        raise ValueError(f"layers={layers} cannot be shared equally by {stages} stages: give a multiple of {stages}")
    parts = [each * block for _ in range(stages)]
    parts[0] += first
    parts[-1] += last
    return tuple(parts)
