"""A model's formula, read off the model."""

import torch
from torch import nn

from flopbook.axes import B, D, F
from flopbook.tracing import trace


def mlp(D, F):
    return nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))


def rows(B, D):
    return torch.empty(B, D)


def test_mlp():
    traced = trace(mlp, rows, sizes=dict(B=8, D=16, F=64))
    assert (traced.forward, traced.backward, traced.recomputed) == (4 * B * D * F, 6 * B * D * F, 0)
    assert traced.total == 10 * B * D * F
    assert (traced.forward_of("0"), traced.backward_of("0")) == (2 * B * D * F, 2 * B * D * F)
    assert traced.by_operator == {"aten::addmm": 4 * B * D * F, "aten::mm": 6 * B * D * F}
