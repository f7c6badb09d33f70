"""Predict adapters: small weights and vectors that are trained, on weights that are frozen."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import sympy
from sympy import Expr

from flopbook.checks import quoted
from flopbook.predict.memory import TrainingMemory, training_memory
from flopbook.predict.notation import Tensor
from flopbook.predict.packing import PACKINGS
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product, matmul
from flopbook.predict.steps import TrainingStep, training_step

__all__ = ["FineTuning", "dora", "fine_tunings", "lora", "nf4_bytes", "vectors"]


def lora(
    *products: Product,
    adapted: str | Iterable[str],
    rank: str = "R",
    data: str | Iterable[str] = (),
    frozen: str | Iterable[str] = (),
) -> TrainingStep:
    """Derive a step in which frozen weights have trained detours of low rank.

    A weight ``w[D,K]`` is frozen, and beside it ``w.a[D,R]`` and ``w.b[R,K]`` are trained: ``x w + (x w.a) w.b``.
    Both terms have one name, that of their sum.

    Parameters
    ----------
    *products : Product
        The forward pass without adapters, in the order in which it runs.
    adapted : str or iterable of str
        The weights that are frozen and get an adapter, each the right operand of a product.
    rank : str
        The letter of the width in the middle, which no product has.
    data, frozen : str or iterable of str
        As :func:`flopbook.predict.steps.training_step` takes them. What is `adapted` is frozen anyway.

    Returns
    -------
    TrainingStep
        The products of the frozen weights and of the adapters.

    Raises
    ------
    ValueError
        If a name is not that of a weight, or the rank's letter is taken.

    Notes
    -----
    Hu and others, *LoRA* (2021), section 4.1. Scaling by a constant, dropout and the sum of the two terms are
    pointwise. Derived in the lecture *Adapters: small weights, nearly the same FLOPs*.

    Examples
    --------
    >>> h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    >>> y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> lora(h, y, adapted="w2", data="x", frozen="w1")
    forward: 2*B*D*H + 2*B*H*K + 2*B*H*R + 2*B*K*R FLOPs
      x[B,D] @ w1[D,H] -> h[B,H]
      h[B,H] @ w2[H,K] -> y[B,K]
      h[B,H] @ w2.a[H,R] -> w2.r[B,R]
      w2.r[B,R] @ w2.b[R,K] -> y[B,K]
    backward: 2*B*H*R + 4*B*K*R FLOPs
      w2.r[B,R] @ y.grad[B,K] -> w2.b.grad[R,K]
      y.grad[B,K] @ w2.b[R,K] -> w2.r.grad[B,R]
      h[B,H] @ w2.r.grad[B,R] -> w2.a.grad[H,R]
    """
    names = _weights(products, "adapted", adapted)
    forward = [
        each
        for product in products
        for each in (product, *(_detour(product, rank) if product.right.name in names else ()))
    ]
    return training_step(*forward, data=data, frozen=names | _set(frozen))


def dora(
    *products: Product,
    adapted: str | Iterable[str],
    rank: str = "R",
    data: str | Iterable[str] = (),
    frozen: str | Iterable[str] = (),
) -> TrainingStep:
    """Derive a step of :func:`lora` that also rescales each column of the adapted weights.

    Each column of ``w + w.a w.b`` gets a trained length. To divide by the length it has, the product ``w.a w.b`` is
    worked out in each step; no gradient goes through it.

    Parameters
    ----------
    *products, adapted, rank, data, frozen
        As :func:`lora` takes them.

    Notes
    -----
    Liu and others, *DoRA* (2024), equation 5 and section 4.3. The norms, and the trained lengths, one for each
    column, are pointwise.

    Examples
    --------
    >>> from flopbook.predict import flops
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> dora(y, adapted="w").forward[-1]
    w.a[D,R] @ w.b[R,K] -> w.ab[D,K]
    >>> flops(dora(y, adapted="w")) - flops(lora(y, adapted="w"))
    2*D*K*R
    """
    step = lora(*products, adapted=adapted, rank=rank, data=data, frozen=frozen)
    names = _set(adapted)
    changes = []
    for product in products:
        if product.right.name in names:
            down, up = _detour(product, rank)
            weight = product.right
            changes.append(matmul(f"{down.right} @ {up.right} -> {weight.name}.ab[{','.join(weight.axes)}]"))
    return TrainingStep((*step.forward, *changes), step.backward, step.data, step.frozen)


def vectors(
    *products: Product,
    behind: str | Iterable[str],
    data: str | Iterable[str] = (),
    frozen: str | Iterable[str] = (),
) -> TrainingStep:
    """Derive a step in which what is trained has no product, and stands behind frozen weights.

    It may be a vector that multiplies what a weight makes, as in IA3, one that is added to it, as a bias, or rows
    that are joined to keys and values, a prefix.

    Parameters
    ----------
    *products : Product
        The forward pass, in the order in which it runs.
    behind : str or iterable of str
        The weights that are frozen, with something trained behind what they make.
    data, frozen : str or iterable of str
        As :func:`flopbook.predict.steps.training_step` takes them.

    Raises
    ------
    ValueError
        If a name is not that of a weight.

    Notes
    -----
    Liu and others, *Few-Shot Parameter-Efficient Fine-Tuning* (2022), section 3.3; Li and Liang, *Prefix-Tuning*
    (2021). The gradients that have to pass are those that pass if the weights themselves are trained.

    Examples
    --------
    >>> h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    >>> y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    >>> vectors(h, y, behind="w1", data="x", frozen="w2").backward
    (y.grad[B,K] @ w2[H,K] -> h.grad[B,H],)
    """
    names = _weights(products, "behind", behind)
    trained = training_step(*products, data=data, frozen=frozen)
    gradients = {f"{name}.grad" for name in names}
    backward = tuple(product for product in trained.backward if product.output.name not in gradients)
    return TrainingStep(trained.forward, backward, trained.data, trained.frozen | names)


def nf4_bytes(numbers: Expr | int) -> Expr:
    """Predict the bytes of frozen numbers of 4 bits with scales that are rounded, too.

    64 numbers share a scale of 8 bits, and 256 such scales share one of 32 bits: 4.127 bits a number.

    Parameters
    ----------
    numbers : Expr or int
        How many there are.

    Notes
    -----
    Dettmers and others, *QLoRA* (2023), section 3. Exact where all blocks are full.

    Examples
    --------
    >>> from flopbook.predict import D, K
    >>> nf4_bytes(D * K)
    2113*D*K/4096
    >>> float(8 * nf4_bytes(1))
    4.126953125
    """
    return numbers * sympy.Rational(PACKINGS["NF4"].bits_a_number) / 8


class FineTuning(NamedTuple):
    """Holds what is trained in a step, and the bytes that the step holds."""

    step: TrainingStep
    memory: TrainingMemory


def fine_tunings(*layers: Product) -> dict[str, FineTuning]:
    """Predict ways to fine-tune layers that lie inside a network, with nothing between them.

    Their input wants a gradient, since there are more layers in front, which are trained in the same way. Only where
    the last layer is trained alone, no gradient has to pass. AdamW, and 4 bytes a number, but for the frozen ones of
    QLoRA.

    Parameters
    ----------
    *layers : Product
        Each takes what the one before makes, and has a weight ``w[D,K]``.

    Returns
    -------
    dict of str to FineTuning
        The first trains everything; the rank of the others is `R`.

    Examples
    --------
    >>> for name, (step, memory) in fine_tunings(matmul("x[B,D] @ w[D,K] -> y[B,K]")).items():
    ...     print(f"{name}: {step.flops}, {memory.activations}")
    everything: 6*B*D*K, 4*B*D
    LoRA: 4*B*D*K + 6*B*D*R + 6*B*K*R, 4*B*D + 4*B*R
    QLoRA: 4*B*D*K + 6*B*D*R + 6*B*K*R, 4*B*D + 4*B*R
    DoRA: 4*B*D*K + 6*B*D*R + 6*B*K*R + 2*D*K*R, 4*B*D + 4*B*K + 4*B*R + 8*K
    IA3: 4*B*D*K, 4*B*K
    the last layer: 4*B*D*K, 4*B*D
    """
    x, *_ = (layer.left.name for layer in layers)
    names = [layer.right.name for layer in layers]
    of_columns = [f"{layer.right.name}.{{}}[{layer.output.axes[-1]}]" for layer in layers]
    scaled = [f"{name}.scaled[{','.join(layer.output.axes)}]" for name, layer in zip(names, layers, strict=True)]
    vector = dict(biases=[each.format("vector") for each in of_columns])
    lengths = [each.format(what) for each in of_columns for what in ("norms", "scales")]

    def way(derive: Any, held: dict[str, Any], **options: Any) -> FineTuning:
        memory = training_memory(derive(*layers, **{"data": x, **options}), **held)  # the input is not a parameter
        return FineTuning(derive(*layers, **options), memory)

    detours = way(lora, {}, adapted=names)
    frozen = elements(*(layer.right for layer in layers))
    in_4_bits = sympy.expand(detours.memory.parameters - 4 * frozen + nf4_bytes(frozen))
    return {
        "everything": way(training_step, {}),
        "LoRA": detours,
        "QLoRA": detours._replace(memory=detours.memory._replace(parameters=in_4_bits)),
        "DoRA": way(dora, {**vector, "also_kept": scaled + lengths}, adapted=names),
        "IA3": way(vectors, {**vector, "also_kept": scaled}, behind=names),
        "the last layer": way(training_step, {}, data=x, frozen=names[:-1]),
    }


def _detour(product: Product, rank: str) -> tuple[Product, Product]:
    """Write the two products beside a frozen one, which make its result, too."""
    x, weight, result = product.left, product.right, product.output
    shared = [axis for axis in weight.axes if axis in x.axes]  # summed over, or a batch of weights
    a = Tensor(f"{weight.name}.a", (*shared, rank))
    own = [axis for axis in weight.axes if axis not in x.axes]
    b = Tensor(f"{weight.name}.b", (*(axis for axis in shared if axis in result.axes), rank, *own))
    narrow = Tensor(f"{weight.name}.r", (*(axis for axis in x.axes if axis in result.axes), rank))
    return matmul(f"{x} @ {a} -> {narrow}"), matmul(f"{narrow} @ {b} -> {result}")


def _set(names: str | Iterable[str]) -> set[str]:
    return {names} if isinstance(names, str) else set(names)


def _weights(products: tuple[Product, ...], argument: str, given: str | Iterable[str]) -> set[str]:
    """Read the names of weights, which are right operands of matrix products."""
    names, weights = _set(given), {product.right.name for product in products if product.sign == "@"}
    for name in sorted(names - weights):
        raise ValueError(
            f"{argument} names {quoted(name)}, which is not a weight of a matrix product: "
            f"give one of {', '.join(sorted(weights))}"
        )
    return names
