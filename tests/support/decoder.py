"""Build a transformer decoder, which knows nothing of the formulas but their letters."""

import torch
from torch import nn


class Attention(nn.Module):
    """Runs causal self-attention, in a window where one is given; groups of heads share keys and values."""

    def __init__(self, D, H, G, E, window):
        super().__init__()
        self.E, self.window = E, window
        self.q, self.k, self.v = (nn.Linear(D, heads * E, bias=False) for heads in (H, G, G))
        self.out = nn.Linear(H * E, D, bias=False)

    def forward(self, x):
        q, k, v = (project(x).unflatten(-1, (-1, self.E)).transpose(1, 2) for project in (self.q, self.k, self.v))
        grouped = q.shape[1] != k.shape[1]
        mask = None if self.window is None else torch.ones(2 * q.shape[2:3]).bool().tril().triu(1 - self.window)
        o = nn.functional.scaled_dot_product_attention(q, k, v, mask, is_causal=mask is None, enable_gqa=grouped)
        return self.out(o.transpose(1, 2).flatten(2))


class FeedForward(nn.Module):
    """Runs two matrices, or three with a gate."""

    def __init__(self, D, F, gated):
        super().__init__()
        self.up, self.down = nn.Linear(D, F, bias=False), nn.Linear(F, D, bias=False)
        self.gate = nn.Linear(D, F, bias=False) if gated else None

    def forward(self, x):
        f = nn.functional.silu(self.gate(x)) * self.up(x) if self.gate else nn.functional.gelu(self.up(x))
        return self.down(f)


class Decoder(nn.Module):
    """Runs a decoder as people write it.

    `windows` has the window of each layer, or None where a token sees all before it.
    """

    def __init__(self, D, H, G, E, F, V, L, matrices, tables, windows=()):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.tokens, self.last = nn.Embedding(V, D), nn.LayerNorm(D, bias=False)
        self.norms = nn.ModuleList(nn.LayerNorm(D, bias=False) for _ in range(2 * L))
        self.parts = nn.ModuleList(
            part
            for window in windows or L * [None]
            for part in (Attention(D, H, G, E, window), FeedForward(D, F, matrices == 3))
        )
        self.output = nn.Linear(D, V, bias=False)
        if tables == 1:
            self.output.weight = self.tokens.weight

    def forward(self, tokens):
        x = self.tokens(tokens)
        for norm, part in zip(self.norms, self.parts, strict=True):
            x = x + part(norm(x))
        return self.output(self.last(x))
