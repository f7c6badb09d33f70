"""Build transformers and mixtures of experts as people write them."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import nn

from flopbook.specimens.in_torch.layers import GPT, Attention, Built, Mixture, Residual, SwiGLU


def gpt(B, T, V, D, H, E, F) -> Built:
    return GPT(V, T, D, H, E, F), (torch.randint(V, (B, T)),)


def llama(B, T, D, G, R, E, F) -> Built:
    attention = Attention(T, D, G, R, E, rotary=True, bias=False)
    blocks = Residual(nn.RMSNorm(D), attention), Residual(nn.RMSNorm(D), SwiGLU(D, F))
    return nn.Sequential(*blocks), (torch.randn(B, T, D),)


def mixture(B, D, F, X) -> Built:
    return Mixture(D, F, X, top=2), (torch.randn(B, D),)
