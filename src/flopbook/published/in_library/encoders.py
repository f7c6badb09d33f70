"""Build encoders, and encoders beside decoders."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForMaskedLM, AutoModelForSeq2SeqLM

from flopbook.published.in_library.built import Built
from flopbook.published.in_library.dense import all_tokens


def masked_language_model(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that tells the words that are masked."""
    return AutoModelForMaskedLM.from_config(AutoConfig.for_model(**config))


def reader_and_writer(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that reads a text and writes another."""
    return AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(**config))


def read_and_written(model: nn.Module, *, B: int, T: int, U: int) -> torch.Tensor:
    """Add up what a model answers to B sequences of T tokens that it reads, and U that it writes."""
    read, written = (torch.zeros(B, tokens, dtype=torch.long) for tokens in (T, U))
    return model(input_ids=read, decoder_input_ids=written).logits.float().sum()


MASKED = Built(masked_language_model, all_tokens)
BUILT = {"bert": MASKED, "modernbert": MASKED, "t5": Built(reader_and_writer, read_and_written)}
