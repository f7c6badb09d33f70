"""Count a model as the library builds it."""

from collections.abc import Mapping
from copy import deepcopy
from typing import Any, NamedTuple

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from transformers import PreTrainedModel
from transformers.initialization import no_init_weights

from flopbook.measure.counting.count import FlopCount
from flopbook.published.in_library import BUILT

__all__ = ["Witness", "witness"]

#: Parameters up to which a step with data takes less time: without data, PyTorch finds the sizes of results in Python.
_SMALL = 1_000_000


class Witness(NamedTuple):
    """Says what the library's model has, and what a step of it runs, made by :func:`witness`."""

    parameters: int
    forward: int
    backward: int


def witness(config: Mapping[str, Any], **sizes: int) -> Witness:
    """Build a model with the library, run a training step, and count.

    A large model has no data, on the meta device. Attention is written out in products, as it is without data.

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
    parameters = sum(parameter.numel() for parameter in model.parameters())
    device = "meta" if parameters > _SMALL else "cpu"
    if device == "cpu":
        with torch.device(device), no_init_weights():  # a count asks for no values
            model = built.build(deepcopy(dict(config)))
            if isinstance(model, PreTrainedModel):
                model.tie_weights()  # else done where values are set
    with torch.device(device), sdpa_kernel(SDPBackend.MATH), FlopCount() as counted:
        built.run(model, **sizes).backward()
    return Witness(parameters, counted.forward, counted.backward)
