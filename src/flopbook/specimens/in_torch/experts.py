"""Build feed-forward parts of experts, of which each token meets a few."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

from collections.abc import Callable
from fractions import Fraction
from math import ceil

import torch
from torch import Tensor, nn
from torch.nn import functional

from flopbook.specimens.in_torch.layers import Built, SwiGLU


class Experts(nn.Module):
    """Scores the experts for every token, and adds up what the best ones answer, each times its score."""

    def __init__(self, D: int, F: int, X: int, top: int, gated: bool = False, J: int = 0) -> None:
        super().__init__()
        self.top, self.router = top, nn.Linear(D, X, bias=False)
        self.up, self.down = nn.Parameter(torch.randn(X, D, F)), nn.Parameter(torch.randn(X, F, D))
        self.gate = nn.Parameter(torch.randn(X, D, F)) if gated else None
        plain = nn.Sequential(nn.Linear(D, J, bias=False), nn.GELU(), nn.Linear(J, D, bias=False)) if J else None
        self.shared = SwiGLU(D, J) if gated and J else plain

    def forward(self, n: Tensor) -> Tensor:
        tokens = n.flatten(0, -2)
        p, chosen = self.router(tokens).softmax(-1).topk(self.top)
        y = self.routed(tokens, p, chosen)
        return (y if self.shared is None else y + self.shared(tokens)).view_as(n)

    def routed(self, tokens: Tensor, p: Tensor, chosen: Tensor) -> Tensor:
        """Send every token to the experts that it chose."""
        raise NotImplementedError

    def feed_forward(self, rows: Tensor, product: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
        """Run rows through experts, whose weights `product` finds in a tensor of all weights."""
        f = product(rows, self.up)
        h = functional.gelu(f) if self.gate is None else functional.silu(product(rows, self.gate)) * f
        return product(h, self.down)


class Grouped(Experts):
    """Sorts the rows by expert, and multiplies all in one grouped product."""

    def routed(self, tokens, p, chosen):
        loads = functional.one_hot(chosen.flatten(), len(self.up)).sum(0)
        ends = loads.cumsum(0).to(torch.int32)
        order = chosen.flatten().argsort()
        rows = tokens[order // self.top]
        z = self.feed_forward(rows, lambda left, right: functional.grouped_mm(left, right, offs=ends))
        return torch.zeros_like(tokens).index_add(0, order // self.top, p.flatten()[order, None] * z)


class InSlots(Experts):
    """Gives each expert equally many slots; a row that finds all taken skips the experts, and empty slots are zeros."""

    def __init__(self, D: int, F: int, X: int, top: int, capacity: Fraction, gated: bool = False, J: int = 0) -> None:
        super().__init__(D, F, X, top, gated, J)
        self.capacity = capacity

    def routed(self, tokens, p, chosen):
        X, expert = len(self.up), chosen.flatten()
        slots = ceil(self.capacity * len(expert) / X)
        before = functional.one_hot(expert, X).cumsum(0)  # rows so far of each expert, with this one
        place = before.gather(1, expert[:, None])[:, 0] - 1
        slot = torch.where(place < slots, expert * slots + place, X * slots)  # the last one is for the dropped
        rows = tokens.repeat_interleave(self.top, 0)
        filled = rows.new_zeros(X * slots + 1, rows.shape[1]).index_add(0, slot, rows)[:-1]
        z = self.feed_forward(filled.view(X, slots, -1), torch.bmm).flatten(0, 1)
        answers = functional.pad(z, (0, 0, 0, 1))[slot]
        return (p[..., None] * answers.view(*p.shape, -1)).sum(1)


def grouped(B, T, D, F, X, K) -> Built:
    """A grouped product takes rows of 16 bytes and multiples of that, on a processor and on others."""
    return Grouped(D, F, X, K, gated=True, J=F).to(torch.bfloat16), (torch.randn(B, T, D, dtype=torch.bfloat16),)


def in_slots(B, T, D, F, X, K) -> Built:
    return InSlots(D, F, X, K, capacity=Fraction(5, 4)), (torch.randn(B, T, D),)
