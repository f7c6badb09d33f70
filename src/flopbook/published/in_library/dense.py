"""Build decoders whose tokens meet all parameters."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedConfig

from flopbook.published.in_library.built import Built


def causal_language_model(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that predicts the next token."""
    return AutoModelForCausalLM.from_config(with_cache(config))


def with_cache(config: Mapping[str, Any]) -> PreTrainedConfig:
    """Keep keys and values, which changes no product.

    Where nothing is kept, the library asks whether positions begin anew, and the meta device has no positions.
    """
    return AutoConfig.for_model(**{**config, "use_cache": True})


def all_tokens(model: nn.Module, *, B: int, T: int) -> torch.Tensor:
    """Add up what a language model answers to B sequences of T tokens."""
    return model(input_ids=torch.zeros(B, T, dtype=torch.long)).logits.float().sum()


DECODER = Built(causal_language_model, all_tokens)
BUILT = dict.fromkeys(
    (
        "cohere", "cohere2", "gemma", "gemma2", "gemma3_text", "gpt2", "gpt_neox", "granite", "llama", "ministral3",
        "mistral", "olmo", "olmo2", "olmo3", "phi", "phi3", "qwen2", "qwen3", "smollm3", "starcoder2",
    ),
    DECODER,
)  # fmt: skip
