"""Build convolutions as people write them."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import nn

from flopbook.specimens.in_torch.layers import Built


def dilated(B, C, K, X, R) -> Built:
    return nn.Conv1d(C, K, R, dilation=2), (torch.randn(B, C, X),)


def strided(B, C, K, X, Y, R, S) -> Built:
    return nn.Conv2d(C, K, (R, S), stride=2, padding=1), (torch.randn(B, C, X, Y),)


def volumetric(B, C, K, X, Y, Z, R, S, U) -> Built:
    return nn.Conv3d(C, K, (R, S, U)), (torch.randn(B, C, X, Y, Z),)


def grouped(B, G, C, K, X, Y, R, S) -> Built:
    model = nn.Conv2d(G * C, G * K, (R, S), groups=G, bias=False)
    return model, (torch.randn(B, G * C, X, Y),)


def depthwise_separable(B, C, K, X, Y, R, S) -> Built:
    layers = nn.Conv2d(C, C, (R, S), groups=C, bias=False), nn.ReLU(), nn.Conv2d(C, K, 1, bias=False)
    return nn.Sequential(*layers), (torch.randn(B, C, X, Y),)


def transposed(B, C, K, X, Y, R, S) -> Built:
    return nn.ConvTranspose2d(C, K, (R, S), stride=2), (torch.randn(B, C, X, Y),)


def cnn(B, C, D, H, K, X, Y, R) -> Built:
    first = nn.Conv2d(C, D, R, padding=1, bias=False), nn.BatchNorm2d(D), nn.ReLU(), nn.MaxPool2d(2)
    second = nn.Conv2d(D, H, R, padding=1, bias=False), nn.BatchNorm2d(H), nn.ReLU(), nn.AdaptiveAvgPool2d(1)
    return nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(H, K)), (torch.randn(B, C, X, Y),)
