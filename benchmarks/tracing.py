"""Time the trace of a Llama, beside a count at one size on the meta device.

The trace knows the FLOPs at every size, FlopCounterMode at one. Both build the
model and run it forward and backward. Where the number of layers is a letter,
too, the trace knows them at every depth.
"""

from collections.abc import Callable
from time import perf_counter

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flopbook.specimens.in_torch.layers import Attention, Residual, SwiGLU
from flopbook.tracing import trace

SIZES = dict(V=1000, T=64, D=256, G=2, R=4, E=32, F=512)


def llama(layers: int) -> Callable[..., nn.Module]:
    """Make a Llama whose number of layers is a plain number."""

    def build(V, T, D, G, R, E, F):  # noqa: PLR0913, PLR0917
        blocks = (
            nn.Sequential(
                Residual(nn.RMSNorm(D), Attention(T, D, G, R, E, rotary=True, bias=False)),
                Residual(nn.RMSNorm(D), SwiGLU(D, F)),
            )
            for _ in range(layers)
        )
        return nn.Sequential(nn.Embedding(V, D), *blocks, nn.RMSNorm(D), nn.Linear(D, V, bias=False))

    return build


def llama_of_any_depth(L, V, T, D, G, R, E, F):  # noqa: PLR0913, PLR0917
    """Make a Llama whose number of layers is a letter."""
    return llama(L)(V, T, D, G, R, E, F)


def tokens(T: int) -> torch.Tensor:
    """Make one sequence."""
    return torch.zeros(1, T, dtype=torch.long)


def count(layers: int) -> None:
    """Count as FlopCounterMode does."""
    with torch.device("meta"), FlopCounterMode(display=False):
        llama(layers)(**SIZES)(tokens(SIZES["T"])).sum().backward()


def seconds(work: Callable[[], object]) -> float:
    """Return the seconds of the quicker of two runs."""
    taken = []
    for _ in range(2):
        start = perf_counter()
        work()
        taken.append(perf_counter() - start)
    return min(taken)


def main() -> None:
    """Print the table."""
    print("seconds to the FLOPs of a Llama: FlopCounterMode at one size, a trace at all, at any depth or at one")
    for L in (2, 32, 80, 126):
        counted = seconds(lambda L=L: count(L))
        any_depth = seconds(lambda L=L: trace(llama_of_any_depth, tokens, {**SIZES, "L": L}))
        one_depth = seconds(lambda L=L: trace(llama(L), tokens, SIZES))
        row = f"FlopCounterMode {counted:.2f} s, trace at all depths {any_depth:.2f} s, at this one {one_depth:.2f} s"
        print(f"  {L:3} layers: {row}", flush=True)


if __name__ == "__main__":
    main()
