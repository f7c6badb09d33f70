"""Predict the bytes that a training step holds at each of its moments.

A tensor lives from the operation that makes it to the last one that reads it. While an operation runs, what it reads
and what it makes are both there.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

from flopbook.checks import one_of
from flopbook.predict.memory import training_memory
from flopbook.predict.notation import Tensor
from flopbook.predict.pointwise import elements
from flopbook.predict.products import Product
from flopbook.predict.steps import TrainingStep
from flopbook.predict.values import evaluate

__all__ = ["KINDS", "Moment", "moments"]

#: What bytes are held for. An activation is made in the forward pass and read in the backward pass; what is neither
#: that nor a gradient of a parameter lives for a moment.
KINDS = ("parameters", "optimizer", "gradients", "activations", "recomputed", "for a moment")

_KEEPS_INPUT = {"SiLU": True, "ReLU": False, "tanh": False}  # or its result, which the next layer keeps too
_BYTES_OF_NUMBER = 4
_LOSS = "loss"


class Moment(NamedTuple):
    """Holds the bytes that are there while an operation runs.

    Attributes
    ----------
    name : str
        What runs, such as ``w1`` for the product with that weight.
    phase : str
        ``forward``, ``backward``, ``recomputed`` or ``optimizer``.
    held : dict of str to int
        Bytes of each of the `KINDS`.
    """

    name: str
    phase: str
    held: dict[str, int]


class _Operation(NamedTuple):
    name: str
    phase: str
    reads: Sequence[str] = ()
    makes: Sequence[Tensor] = ()


def moments(
    step: TrainingStep,
    sizes: Mapping[str, int],
    *,
    function: str = "SiLU",
    optimizer: str = "AdamW",
    checkpoints: bool = False,
) -> list[Moment]:
    """Predict the bytes at each moment of a step of a chain of layers, in float32.

    A layer is a product, a bias and, but for the last one, a function. The loss is a mean of squares of what is left
    between the result and a target.

    Parameters
    ----------
    step : TrainingStep
        Of a chain, in which each product takes what the one before it makes.
    sizes : mapping of str to int
        The size of each letter.
    function : str
        ``SiLU``, ``ReLU`` or ``tanh``.
    optimizer : str
        A name in `OPTIMIZERS`.
    checkpoints : bool
        Keep only the input of each layer with a function, and run the layer again when the backward pass comes to it,
        as far as the backward pass needs.

    Raises
    ------
    TypeError, ValueError
        If the function or the optimizer is not known, a size is missing, or the step is not a chain of trained layers.

    Notes
    -----
    The updates themselves may make copies for a moment, which are left out. The loss takes the room of the squares of
    which it is the mean. Derived in the lecture *Where the memory goes*.

    Examples
    --------
    >>> from flopbook.predict import matmul, training_step
    >>> step = training_step(
    ...     matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"), data="x"
    ... )
    >>> found = moments(step, dict(B=8, D=2, H=4, K=1), function="ReLU", optimizer="SGD")
    >>> [(moment.name, sum(moment.held.values())) for moment in found if moment.phase == "forward"]
    [('w1', 292), ('ReLU', 420), ('w2', 324), ('loss', 356)]
    """
    _check_chain(step)
    one_of("function", function, _KEEPS_INPUT)
    compared, added = replace(step.forward[-1].output, name="target"), list(map(_bias, step.forward))
    operations = [*_forward(step, compared, function), *_backward(step, added, compared, function, checkpoints)]
    operations.append(_Operation(optimizer, "optimizer"))
    memory = training_memory(step, biases=map(str, added), optimizer=optimizer)
    always = {kind: int(evaluate(getattr(memory, kind), sizes)) for kind in ("parameters", "optimizer")}
    always["activations"] = _bytes(sizes, step.forward[0].left, compared)
    found = [Moment(each.name, each.phase, dict.fromkeys(KINDS, 0) | always) for each in operations]
    last = {name: number for number, operation in enumerate(operations) for name in operation.reads}
    of_parameters = {tensor.grad.name for tensor in (*step.trained, *added)}
    for start, operation in enumerate(operations):
        for tensor in operation.makes:
            stays = tensor.name in of_parameters
            end = len(operations) - 1 if stays else last.get(tensor.name, start)
            kind = "gradients" if stays else _kind(tensor, operation.phase, operations[end].phase)
            weight = _bytes(sizes, tensor)
            for moment in found[start : end + 1]:
                moment.held[kind] += weight
    return found


def _check_chain(step: TrainingStep) -> None:
    for before, after in pairwise(step.forward):
        if after.left != before.output:
            raise ValueError(f"{after} does not take {before.output}: give a chain of layers")
    if step.frozen:
        raise ValueError(f"{', '.join(sorted(step.frozen))} is frozen: give a step that trains all layers")


def _bytes(sizes: Mapping[str, int], *tensors: Tensor) -> int:
    return int(_BYTES_OF_NUMBER * evaluate(elements(*tensors), sizes))


def _kind(tensor: Tensor, made: str, read: str) -> str:
    """Tell what a tensor is held for, by the phases that make it and read it last."""
    if made == "forward" and read != "forward" and tensor.name != _LOSS:
        return "activations"
    return "recomputed" if made == "recomputed" else "for a moment"


def _linear(product: Product, last: bool) -> Tensor:
    """Name what a layer makes before its function."""
    return product.output if last else replace(product.output, name=f"{product.output.name}.linear")


def _bias(product: Product) -> Tensor:
    letters = (name for name in product.right.axes if name in product.output.axes)
    return Tensor(f"{product.right.name}.bias", tuple(letters))


def _again(tensor: Tensor) -> Tensor:
    return replace(tensor, name=f"{tensor.name}.again")


def _forward(step: TrainingStep, target: Tensor, function: str) -> Iterator[_Operation]:
    for product in step.forward:
        last = product is step.forward[-1]
        made = _linear(product, last)
        yield _Operation(product.right.name, "forward", [product.left.name], [made])
        if not last:
            yield _Operation(function, "forward", [made.name], [product.output])
    result = step.forward[-1].output
    yield _Operation(_LOSS, "forward", [result.name, target.name], [replace(result, name=_LOSS)])


def _backward(
    step: TrainingStep, biases: Sequence[Tensor], target: Tensor, function: str, checkpoints: bool
) -> Iterator[_Operation]:
    result, one = step.forward[-1].output, Tensor("one", ())  # the gradient of the loss
    yield _Operation(_LOSS, "backward", [result.name, target.name], [one, result.grad])
    needed = {product.output.name for product in step.backward}
    for product, bias in reversed(list(zip(step.forward, biases, strict=True))):
        last = product is step.forward[-1]
        made, after = _linear(product, last), product.output
        if not last:
            read = made if _KEEPS_INPUT[function] else after
            if checkpoints:
                read = _again(read)
                yield _Operation(product.right.name, "recomputed", [product.left.name], [_again(made)])
                if not _KEEPS_INPUT[function]:
                    yield _Operation(function, "recomputed", [_again(made).name], [read])
            yield _Operation(function, "backward", [after.grad.name, read.name], [made.grad])
        gradients = [each for each in (product.right.grad, product.left.grad) if each.name in needed]
        reads = [made.grad.name, product.left.name, _LOSS, one.name]  # whoever called backward() holds the loss
        yield _Operation(product.right.name, "backward", reads, [*gradients, bias.grad])
