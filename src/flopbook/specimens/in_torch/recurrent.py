"""Build recurrent layers and scans as people write them."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn

from flopbook.specimens.in_torch.layers import Apply, Built


def _recurrent(kind: type[nn.RNNBase], T, B, D, H, **options) -> Built:
    return Apply(lambda self, x: self.layers(x)[0], layers=kind(D, H, **options)), (torch.randn(T, B, D),)


def rnn(T, B, D, H) -> Built:
    return _recurrent(nn.RNN, T, B, D, H)


def gru(T, B, D, H) -> Built:
    return _recurrent(nn.GRU, T, B, D, H)


def lstm(T, B, D, H) -> Built:
    return _recurrent(nn.LSTM, T, B, D, H, num_layers=2, bidirectional=True)


def lstm_cells(T, B, D, H) -> Built:
    def run(self, x):
        states, results = None, []
        for token in x:
            states = self.cell(token, states)
            results.append(states[0])
        return torch.stack(results)

    return Apply(run, cell=nn.LSTMCell(D, H)), (torch.randn(T, B, D),)


def scan_tokens(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor) -> tuple[Tensor, Tensor]:
    """Scan token by token: forget a part of the state, add key times value, and let the query read.

    Queries and keys are [B, G, T, N], values [B, H, T, P], decays [B, H, T], and the state [B, H, N, P].
    """
    q, k = (shared.repeat_interleave(v.shape[1] // k.shape[1], 1) for shared in (q, k))
    results = []
    for t in range(v.shape[2]):
        state = decay[:, :, t, None, None] * state + k[:, :, t, :, None] * v[:, :, t, None, :]
        results.append(q[:, :, t, None, :] @ state)
    return torch.cat(results, 2), state


def scan_chunks(q: Tensor, k: Tensor, v: Tensor, decay: Tensor, state: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
    """Scan chunk by chunk what :func:`scan_tokens` takes: masked scores within a chunk, a state between chunks."""
    share, results = v.shape[1] // k.shape[1], []
    for queries, keys, values, forget in zip(*(whole.split(chunk, 2) for whole in (q, k, v, decay)), strict=True):
        left = forget.cumprod(2)  # of the state before the chunk, at each token
        scores = (queries @ keys.mT).repeat_interleave(share, 1)
        scores = (scores * left[..., :, None] / left[..., None, :]).tril()
        reads = queries.repeat_interleave(share, 1) * left[..., None]
        results.append(scores @ values + reads @ state)
        adds = keys.repeat_interleave(share, 1) * (left[..., -1:] / left)[..., None]
        state = left[..., -1:, None] * state + adds.mT @ values
    return torch.cat(results, 2), state


class Scan(nn.Module):
    """Makes queries, keys, values and decays, and scans them; R heads share the queries and keys of a group."""

    def __init__(self, D, G, R, N, P, run: Callable[..., tuple[Tensor, Tensor]]):
        super().__init__()
        self.shapes = (G, N), (G, N), (G * R, P), (G * R, 1)
        self.project = nn.Linear(D, sum(heads * width for heads, width in self.shapes), bias=False)
        self.run = run

    def forward(self, x):
        parts = self.project(x).split([heads * width for heads, width in self.shapes], -1)
        q, k, v, decay = (
            part.unflatten(-1, shape).transpose(1, 2) for part, shape in zip(parts, self.shapes, strict=True)
        )
        state = x.new_zeros(len(x), v.shape[1], k.shape[-1], v.shape[-1])
        return self.run(q, k, v, decay.squeeze(-1).sigmoid(), state)[0]


def scan(B, T, D, H, N, P) -> Built:
    return Scan(D, H, 1, N, P, scan_tokens), (torch.randn(B, T, D),)


def chunked_scan(B, T, D, G, R, N, P, Q) -> Built:
    return Scan(D, G, R, N, P, partial(scan_chunks, chunk=Q)), (torch.randn(B, T, D),)
