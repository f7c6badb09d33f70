"""Build models that look at images."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModel, AutoModelForImageClassification

from flopbook.published.in_library.built import Built


def image_classifier(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that tells images apart."""
    return AutoModelForImageClassification.from_config(AutoConfig.for_model(**config))


def texts_and_images(config: Mapping[str, Any]) -> nn.Module:
    """Build a model that compares texts and images."""
    return AutoModel.from_config(AutoConfig.for_model(**config))


def images(config: Any, batch: int) -> torch.Tensor:
    """Make images as large as a configuration says."""
    size = config.image_size
    height, width = size if isinstance(size, (list, tuple)) else (size, size)
    return torch.zeros(batch, config.num_channels, height, width)


def all_classes(model: nn.Module, *, B: int) -> torch.Tensor:
    """Add up what a model says of B images."""
    return model(pixel_values=images(model.config, B)).logits.float().sum()


def all_pairs(model: nn.Module, *, B: int, T: int) -> torch.Tensor:
    """Compare B texts of T tokens with B images, and add up."""
    config: Any = model.config
    texts = torch.zeros(B, T, dtype=torch.long)
    return model(input_ids=texts, pixel_values=images(config.vision_config, B)).logits_per_text.float().sum()


BUILT = {"clip": Built(texts_and_images, all_pairs), "vit": Built(image_classifier, all_classes)}
