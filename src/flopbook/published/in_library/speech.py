"""Build models that listen and write."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSpeechSeq2Seq

from flopbook.published.in_library.built import Built


def listener_and_writer(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that listens, and writes what it hears."""
    return AutoModelForSpeechSeq2Seq.from_config(AutoConfig.for_model(**config))


def heard_and_written(model: nn.Module, *, B: int, T: int) -> torch.Tensor:
    """Add up what a model answers to B pieces of sound, as long as its configuration says, and T tokens of each."""
    config: Any = model.config
    number_format = next(model.parameters()).dtype
    sound = torch.zeros(B, config.num_mel_bins, 2 * config.max_source_positions, dtype=number_format)
    written = torch.zeros(B, T, dtype=torch.long)
    return model(input_features=sound, decoder_input_ids=written).logits.float().sum()


BUILT = {"whisper": Built(listener_and_writer, heard_and_written)}
