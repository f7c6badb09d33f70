"""Say how the library builds and runs a kind of model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

__all__ = ["Built"]


@dataclass(frozen=True)
class Built:
    """Says how a kind of model is built, and what a step runs.

    Attributes
    ----------
    build : callable
        Takes a configuration as a dict, and returns the model.
    run : callable
        Takes the model and the sizes by name, and returns a number to differentiate.
    """

    build: Callable[[Mapping[str, Any]], nn.Module]
    run: Callable[..., torch.Tensor]
