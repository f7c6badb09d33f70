"""Build GPT-2 small as `flopbook.predict.models.decoder` derives it, and its training step."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, linear, scaled_dot_product_attention
from torch.utils.checkpoint import checkpoint

from flopbook.predict import evaluate
from flopbook.predict.models import decoder

#: Radford and others, *Language Models are Unsupervised Multitask Learners* (2019), its smallest model; without biases.
SMALL = dict(L=12, D=768, H=12, E=64, F=3072, V=50257, T=1024)


class Attention(nn.Module):
    """Runs causal attention in one kernel, whichever PyTorch chooses or is told."""

    def __init__(self, D: int, H: int, E: int):
        super().__init__()
        self.heads = H
        self.q, self.k, self.v = (nn.Linear(D, H * E, bias=False) for _ in range(3))
        self.out = nn.Linear(H * E, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for layer in (self.q, self.k, self.v))
        return self.out(scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2))


class Block(nn.Module):
    """Runs attention, then a feed-forward block, each after a norm and with a residual."""

    def __init__(self, D: int, H: int, E: int, F: int):
        super().__init__()
        self.attention = nn.Sequential(nn.LayerNorm(D, bias=False), Attention(D, H, E))
        layers = nn.Linear(D, F, bias=False), nn.GELU(), nn.Linear(F, D, bias=False)
        self.feed_forward = nn.Sequential(nn.LayerNorm(D, bias=False), *layers)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.attention(x)
        return x + self.feed_forward(x)


class GPT2(nn.Module):
    """Runs blocks between embedding and output layer, which share their table; returns the loss.

    Parameters
    ----------
    sizes : dict of str to int
        Blocks L, width D, heads H, their width E, feed-forward width F, vocabulary V, tokens T of a sequence.
    checkpointed : bool
        Whether each block runs again in the backward pass instead of keeping its results.
    """

    def __init__(self, sizes: Mapping[str, int], checkpointed: bool = False):
        super().__init__()
        L, D, H, E, F, V, T = (sizes[letter] for letter in "LDHEFVT")
        self.tokens, self.positions = nn.Embedding(V, D), nn.Parameter(torch.randn(T, D) / 50)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.blocks = nn.ModuleList(Block(D, H, E, F) for _ in range(L))
        self.norm, self.checkpointed = nn.LayerNorm(D, bias=False), checkpointed

    def forward(self, tokens: Tensor, targets: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions
        for block in self.blocks:
            x = checkpoint(block, x, use_reentrant=False) if self.checkpointed else block(x)
        return cross_entropy(linear(self.norm(x), self.tokens.weight).flatten(0, 1), targets.flatten())


class Step(NamedTuple):
    """Holds a model with its optimizer, its forward pass, and its whole training step `run`."""

    model: GPT2
    optimizer: torch.optim.Optimizer
    forward: Callable[[], Tensor]
    run: Callable[[], None]


def make_step(
    sizes: Mapping[str, int], B: int, device: str, compiled: bool = False, checkpointed: bool = False
) -> Step:
    """Make a training step on B sequences with AdamW, in bfloat16 unless on a processor."""
    torch.manual_seed(0)
    model = GPT2(sizes, checkpointed).to(device)
    called = torch.compile(model) if compiled else model
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    tokens, targets = (torch.randint(sizes["V"], (B, sizes["T"]), device=device) for _ in range(2))

    def forward() -> Tensor:
        with torch.autocast(device, dtype=torch.bfloat16, enabled=device != "cpu"):
            return called(tokens, targets)

    def run() -> None:
        optimizer.zero_grad()
        forward().backward()
        optimizer.step()

    return Step(model, optimizer, forward, run)


def predicted(sizes: Mapping[str, int], B: int) -> dict[str, int]:
    """Evaluate a decoder's formulas: parameters, FLOPs forward and backward, activations.

    Examples
    --------
    >>> predicted(SMALL, B=1)["parameters"]
    124337664
    """
    letters = {**sizes, "B": B, "G": sizes["H"], "matrices": 2, "tables": 1}
    model = decoder()
    found = {name: int(evaluate(getattr(model, name), letters)) for name in ("forward", "backward", "activations")}
    positions = sizes["T"] * sizes["D"]
    return {"parameters": int(evaluate(model.parameters, letters)) + positions, **found}
