"""Build models that are trained in special ways, as people write them."""

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from flopbook.specimens.in_torch.layers import Adapted, Apply, Built
from flopbook.specimens.in_torch.products import mlp


def lora(B, D, R, H, K) -> Built:
    return nn.Sequential(Adapted(D, R, H), nn.ReLU(), Adapted(H, R, K)), (torch.randn(B, D),)


def _checkpointed(reentrant, B, D, H, F) -> Built:
    def run(self, x):
        x = self.stem(x)
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=reentrant)
        return x

    blocks = (nn.Sequential(nn.Linear(H, F), nn.ReLU(), nn.Linear(F, H)) for _ in range(2))
    return Apply(run, stem=nn.Linear(D, H), blocks=nn.ModuleList(blocks)), (torch.randn(B, D),)


def checkpointed(**sizes) -> Built:
    return _checkpointed(False, **sizes)


def checkpointed_reentrant(**sizes) -> Built:
    return _checkpointed(True, **sizes)


def autocast(**sizes) -> Built:
    model, inputs = mlp(**sizes)

    def run(self, x):
        with torch.autocast("cpu", torch.bfloat16):
            return self.layers(x)

    return Apply(run, layers=model), inputs
