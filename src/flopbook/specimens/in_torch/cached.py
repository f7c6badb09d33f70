"""Define a decoder that keeps keys and values of the tokens it has read, so that it can read on."""

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention, silu

__all__ = ["Cache", "CachedDecoder", "cache_bytes"]

#: Keys and values of each layer.
Cache = list[tuple[Tensor, Tensor]]


def _check_size(name: str, given: object) -> None:
    if not isinstance(given, int) or given < 1:
        raise ValueError(f"{name}={given!r} is not a size: write a whole number of at least 1")


class _Attention(nn.Module):
    """Lets each new token meet itself and the tokens before it, kept ones first; a window may leave some out."""

    def __init__(self, D: int, H: int, G: int, E: int, window: int | None):
        super().__init__()
        self.E, self.shared, self.window = E, H > G, window
        self.q, self.k, self.v = (nn.Linear(D, heads * E, bias=False) for heads in (H, G, G))
        self.out = nn.Linear(H * E, D, bias=False)

    def forward(self, x: Tensor, kept: tuple[Tensor, Tensor] | None) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        q, k, v = (project(x).unflatten(-1, (-1, self.E)).transpose(1, 2) for project in (self.q, self.k, self.v))
        if kept:
            k, v = (torch.cat(both, dim=2) for both in zip(kept, (k, v), strict=True))
        new = x.shape[1]
        if self.window:  # what no new token meets is dropped
            k, v = (each[:, :, -(self.window + new - 1) :] for each in (k, v))
        o = scaled_dot_product_attention(q, k, v, self.mask(new, k.shape[2], x.device), enable_gqa=self.shared)
        if self.window:
            k, v = (each[:, :, -self.window :] for each in (k, v))
        return self.out(o.transpose(1, 2).flatten(2)), (k, v)

    def mask(self, new: int, keys: int, device: torch.device) -> Tensor | None:
        """Say which keys each new token meets: all, where it is one."""
        if new == 1:
            return None
        met = torch.ones(new, keys, dtype=torch.bool, device=device).tril(keys - new)
        return met.triu(keys - new + 1 - self.window) if self.window else met


class _FeedForward(nn.Module):
    """Runs a feed-forward part with a gate, or without."""

    def __init__(self, D: int, F: int, gated: bool):
        super().__init__()
        self.up, self.down = nn.Linear(D, F, bias=False), nn.Linear(F, D, bias=False)
        self.gate = nn.Linear(D, F, bias=False) if gated else None

    def forward(self, x: Tensor) -> Tensor:
        return self.down(silu(self.gate(x)) * self.up(x) if self.gate else silu(self.up(x)))


class CachedDecoder(nn.Module):
    """Runs a decoder that reads on: L blocks between an embedding and an output layer of its own, without biases.

    Places of tokens are left out, since they are pointwise.

    Parameters
    ----------
    D, H, G, E, F, V, L : int
        The letters of `flopbook.predict.models.decoder`.
    matrices : int
        Of a feed-forward part: 3 with a gate, 2 without.
    windows : sequence of int or None
        The most keys that a token meets in each layer; None where it meets all. All layers, unless told otherwise.

    Raises
    ------
    ValueError
        If a size is not a whole number of at least 1, or H not a multiple of G; if `matrices` is neither 2 nor 3, or
        the windows are not those of L layers.

    Examples
    --------
    >>> model = CachedDecoder(D=8, H=4, G=2, E=4, F=12, V=20, L=3)
    >>> logits, cache = model(torch.tensor([[3, 1, 4]]))  # the prompt
    >>> logits, cache = model(logits.argmax(-1), cache)  # the token that it chose
    >>> logits.shape, cache_bytes(cache)  # 2LGES numbers of 4 bytes, for S = 4
    (torch.Size([1, 1, 20]), 768)
    """

    def __init__(
        self, D: int, H: int, G: int, E: int, F: int, V: int, L: int, matrices: int = 3,
        windows: Sequence[int | None] = (),
    ):  # fmt: skip
        for letter, given in dict(D=D, H=H, G=G, E=E, F=F, V=V, L=L).items():
            _check_size(letter, given)
        if H % G:
            raise ValueError(f"H={H} heads cannot share G={G} of keys and values alike: write a G that divides H")
        if matrices not in {2, 3}:
            raise ValueError(f"matrices={matrices!r} make no feed-forward part: write 3 with a gate, or 2")
        if windows and len(windows) != L:
            raise ValueError(f"windows={windows!r} are not those of L={L} layers: give one for each")
        for window in windows:
            if window is not None:
                _check_size("window", window)
        super().__init__()
        self.table = nn.Embedding(V, D)
        self.met = nn.ModuleList(_Attention(D, H, G, E, window) for window in windows or L * [None])
        self.fed = nn.ModuleList(_FeedForward(D, F, matrices == 3) for _ in range(L))
        self.norms = nn.ModuleList(nn.RMSNorm(D) for _ in range(2 * L + 1))
        self.output = nn.Linear(D, V, bias=False)

    def forward(self, tokens: Tensor, cache: Cache | None = None, every: bool = False) -> tuple[Tensor, Cache]:
        """Read tokens after those of a cache; return the logits of the last one, or of every one, and the cache."""
        x, kept = self.read(tokens, cache)
        return self.answer(x if every else x[:, -1:]), kept

    def read(self, tokens: Tensor, cache: Cache | None = None) -> tuple[Tensor, Cache]:
        """Read tokens after those of a cache; return what the blocks make of each, and the cache."""
        x, kept = self.table(tokens), []
        for layer, (attention, feed_forward) in enumerate(zip(self.met, self.fed, strict=True)):
            mixed, both = attention(self.norms[2 * layer](x), cache[layer] if cache else None)
            x = x + mixed
            x = x + feed_forward(self.norms[2 * layer + 1](x))
            kept.append(both)
        return x, kept

    def answer(self, x: Tensor) -> Tensor:
        """Run the output layer, behind a norm, for tokens that were read."""
        return self.output(self.norms[-1](x))


def cache_bytes(cache: Cache) -> int:
    """Add up the bytes of what a cache keeps."""
    return sum(tensor.nbytes for both in cache for tensor in both)
