"""Build adapters as people write them: small trained parts on frozen layers."""

import torch
from torch import nn

from flopbook.specimens.in_torch.layers import Adapted, Built, Prefixed, Quantized, Rescaled, Scaled


def rescaled(B, D, R, H, K) -> Built:
    return nn.Sequential(Rescaled(D, R, H), nn.ReLU(), Rescaled(H, R, K)), (torch.randn(B, D),)


def scaled(B, D, H, K) -> Built:
    return nn.Sequential(Scaled(D, H), nn.ReLU(), nn.Linear(H, K).requires_grad_(False)), (torch.randn(B, D),)


def quantized(B, D, R, H, K) -> Built:
    first, second = Adapted(D, R, H), Adapted(H, R, K)
    for adapted in (first, second):
        adapted.add_module("frozen", Quantized(adapted.frozen.weight, block=10, group=7))
    return nn.Sequential(first, nn.ReLU(), second), (torch.randn(B, D),)


def prefix(B, T, **sizes) -> Built:
    return Prefixed(**sizes), (torch.randn(B, T, sizes["D"]),)
