"""Build models that take noise from images."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from flopbook.published.in_library.built import Built


def unet(config: Mapping[str, Any]) -> nn.Module:
    """Build a U-Net that meets words."""
    from diffusers import UNet2DConditionModel  # noqa: PLC0415  (it imports PyTorch's compiler: seconds)

    return UNet2DConditionModel.from_config(config)


def dit(config: Mapping[str, Any]) -> nn.Module:
    """Build a transformer on the patches of an image."""
    from diffusers import DiTTransformer2DModel  # noqa: PLC0415

    return DiTTransformer2DModel.from_config(config)


def noise_beside_words(model: nn.Module, *, B: int, T: int, Ih: int = 0, Iw: int = 0) -> torch.Tensor:
    """Add up the noise that a model finds in B images, beside T encoded words, at one moment.

    Ih and Iw are the images' size, where the configuration has none.
    """
    config: Any = model.config
    width = config.cross_attention_dim
    words = torch.zeros(B, T, width if isinstance(width, int) else width[0])
    besides = None
    if config.addition_embed_type == "text_time":
        numbers = 6  # that say how large an image is, and where it was cut
        text = config.projection_class_embeddings_input_dim - numbers * config.addition_time_embed_dim
        besides = {"text_embeds": torch.zeros(B, text), "time_ids": torch.zeros(B, numbers)}
    noisy = torch.zeros(B, config.in_channels, *_sides(config.sample_size or (Ih, Iw)))
    return model(noisy, torch.tensor(1), words, added_cond_kwargs=besides).sample.float().sum()


def noise_of_a_class(model: nn.Module, *, B: int) -> torch.Tensor:
    """Add up the noise that a model finds in B images of known classes, at one moment."""
    config: Any = model.config
    noisy, one = torch.zeros(B, config.in_channels, *_sides(config.sample_size)), torch.ones(B, dtype=torch.long)
    return model(noisy, timestep=one, class_labels=one).sample.float().sum()


def _sides(size: int | Sequence[int]) -> Sequence[int]:
    return [size, size] if isinstance(size, int) else size


BUILT = {
    "DiTTransformer2DModel": Built(dit, noise_of_a_class),
    "UNet2DConditionModel": Built(unet, noise_beside_words),
}
