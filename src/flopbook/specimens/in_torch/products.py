"""Build matrix products as people write them."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

import torch
from torch import nn

from flopbook.specimens.in_torch.layers import Built, Einsum, Vectors


def mlp(B, D, H, J, K) -> Built:
    layers = nn.Linear(D, H), nn.ReLU(), nn.Linear(H, J), nn.ReLU(), nn.Linear(J, K)
    return nn.Sequential(*layers), (torch.randn(B, D),)


def linear_on_four_axes(A, B, T, D, K) -> Built:
    return nn.Linear(D, K, bias=False), (torch.randn(A, B, T, D),)


def vectors(D, H, K) -> Built:
    return Vectors(D, H, K), (torch.randn(D),)


def einsum(B, T, D, H, E, K) -> Built:
    return Einsum(D, H, E, K), (torch.randn(B, T, D),)
