"""Count a model as the library builds it, on the meta device."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import torch

from flopbook.measure.counting.count import FlopCount
from flopbook.published.in_library import BUILT

__all__ = ["Witness", "witness"]


class Witness(NamedTuple):
    """Says what the library's model has, and what a step of it runs, made by :func:`witness`."""

    parameters: int
    forward: int
    backward: int


def witness(config: Mapping[str, Any], **sizes: int) -> Witness:
    """Build a model with the library on the meta device, run a training step, and count.

    Parameters
    ----------
    config : mapping
        In the format of a ``config.json``.
    **sizes : int
        B, and T where the model reads tokens.

    Examples
    --------
    >>> witness(dict(model_type="llama", hidden_size=64, num_hidden_layers=3, num_attention_heads=4,
    ...     num_key_value_heads=2, intermediate_size=96, vocab_size=101), B=2, T=7)
    Witness(parameters=105536, forward=2836736, backward=5673472)
    """
    built = BUILT[config.get("model_type") or config["_class_name"]]
    with torch.device("meta"):
        model = built.build(deepcopy(dict(config)))  # the library writes into what is given
        with FlopCount() as counted:
            built.run(model, **sizes).backward()
    return Witness(sum(parameter.numel() for parameter in model.parameters()), counted.forward, counted.backward)
