"""Build decoders whose tokens meet all parameters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM

from flopbook.published.in_library.built import Built


def causal_language_model(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that predicts the next token."""
    return AutoModelForCausalLM.from_config(AutoConfig.for_model(**config))


def all_tokens(model: nn.Module, *, B: int, T: int) -> torch.Tensor:
    """Add up what a language model answers to B sequences of T tokens."""
    return model(input_ids=torch.zeros(B, T, dtype=torch.long)).logits.float().sum()


DECODER = Built(causal_language_model, all_tokens)
BUILT = {"llama": DECODER, "mistral": DECODER}
