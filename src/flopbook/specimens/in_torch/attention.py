"""Build attention as people write it."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import nn

from flopbook.specimens.in_torch.layers import Apply, Attention, Built, LatentAttention, documents, window


def causal_attention(B, T, D, H, E) -> Built:
    return Attention(T, D, H, 1, E), (torch.randn(B, T, D),)


def grouped_attention(B, T, D, G, R, E) -> Built:
    return Attention(T, D, G, R, E, mask=window(T, 3)), (torch.randn(B, T, D),)


def one_shared_head(B, T, D, R, E) -> Built:
    return Attention(T, D, 1, R, E, mask=documents(T - 4, 4)), (torch.randn(B, T, D),)


def latent_attention(B, T, D, H, E, R, J, C, Q) -> Built:
    return LatentAttention(T, D, H, E, R, J, C, Q), (torch.randn(B, T, D),)


def absorbed_latent_attention(B, T, D, H, E, R, J, C, Q) -> Built:
    return LatentAttention(T, D, H, E, R, J, C, Q, absorbed=True), (torch.randn(B, T, D),)


def multi_head_attention(B, T, D, H) -> Built:
    layer = nn.MultiheadAttention(D, H, batch_first=True)
    return Apply(lambda self, x: self.attention(x, x, x)[0], attention=layer), (torch.randn(B, T, D),)


def _encoder_layer(D, H, F):
    return nn.TransformerEncoderLayer(D, H, F, dropout=0.0, batch_first=True)


def encoder_layer(B, T, D, H, F) -> Built:
    return _encoder_layer(D, H, F), (torch.randn(B, T, D),)


def encoder_layer_inference(B, T, D, H, F) -> Built:
    def infer(self, x):
        with torch.no_grad():
            return self.layer(x)

    return Apply(infer, layer=_encoder_layer(D, H, F)).eval(), (torch.randn(B, T, D),)
