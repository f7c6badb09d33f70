"""Count one call of a model, forward and backward, and leave the model as it was."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn

from flopbook.checks import quoted
from flopbook.measure.counting.count import FlopCount
from flopbook.measure.restore import restoring


def count(model: nn.Module, *inputs: Any, backward: bool = True, **named: Any) -> FlopCount:
    """Count the FLOPs of one call of a model, and of the backward pass from all its results.

    Parameters
    ----------
    model : Module
        Called as ``model(*inputs, **named)``, in the mode in which it is. On the meta device nothing is computed, so
        that a model of any size is counted in a moment.
    *inputs, **named : object
        What the model is called with.
    backward : bool
        Whether the backward pass is counted as well. It starts at every floating-point result that needs gradients;
        where there is none, there is no backward pass.

    Returns
    -------
    FlopCount
        The count, which shows itself as tables.

    Raises
    ------
    TypeError
        If `model` is not a module, or `backward` is neither True nor False.

    Notes
    -----
    Parameters, buffers, gradients and random numbers are afterwards what they were before. What a loss takes is left
    out: a loss takes no contractions. For a whole step, with loss and optimizer, write ``with FlopCount():`` around it.

    Examples
    --------
    >>> import torch
    >>> counted = count(torch.nn.Linear(16, 5), torch.randn(8, 16))
    >>> counted.forward, counted.backward
    (1280, 1280)
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"{quoted(model)} is not a module: write with FlopCount() as counted: around what runs")
    if not isinstance(backward, bool):
        raise TypeError(f"backward={quoted(backward)} is neither True nor False: give one of them")
    with restoring(model, [SimpleNamespace(inputs=list(inputs), named=named)]), FlopCount() as counted:
        answer = model(*inputs, **named)
        if backward:
            run_backward(answer)
    return counted


def run_backward(answer: Any) -> None:
    """Run the backward pass of the sum of all results that need gradients."""
    results = [tensor for tensor in tensors(answer) if tensor.requires_grad]
    if results:
        torch.autograd.backward(results, [torch.ones_like(result) for result in results])


def tensors(value: Any) -> Iterator[Tensor]:
    """Find all tensors in nested tuples, lists, dictionaries and data classes."""
    if isinstance(value, Tensor):
        yield value
        return
    if is_dataclass(value) and not isinstance(value, (type, Mapping)):
        value = [getattr(value, field.name) for field in fields(value)]
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for item in value:
            yield from tensors(item)
