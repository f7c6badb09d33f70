"""Measure what counting costs: one training step, plain and under each counter, in one run.

Runs are interleaved, so that a machine that slows down slows all of them, and
the median of each is divided by the plain step's.
"""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import pairwise
from statistics import median
from time import perf_counter

import torch
from torch import nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from flopbook.measure import FlopCount, FlopMeter


class Block(nn.Module):
    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.norm, self.qkv, self.out = nn.LayerNorm(width), nn.Linear(width, 3 * width), nn.Linear(width, width)
        up, down = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        self.mlp = nn.Sequential(nn.LayerNorm(width), up, nn.GELU(), down)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        B, T, D = x.shape
        q, k, v = self.qkv(self.norm(x)).view(B, T, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        heads = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.out(heads.transpose(1, 2).reshape(B, T, D))
        return x + self.mlp(x)


def mlp_step() -> Callable[[], None]:
    """Make a step of the 5-64-64-64-1 MLP with SiLU and AdamW at batch 256."""
    widths = (5, 64, 64, 64)
    layers = [layer for D, K in pairwise(widths) for layer in (nn.Linear(D, K), nn.SiLU())]
    model = nn.Sequential(*layers, nn.Linear(64, 1))
    x, target = torch.randn(256, 5), torch.randn(256, 1)
    return _step(model, lambda: F.mse_loss(model(x), target))


def gpt_step(vocabulary: int) -> Callable[[], None]:
    """Make a step of a GPT: 4 layers, width 256, 128 tokens, batch 4, AdamW."""
    width, tokens = 256, 128
    embedding = nn.Embedding(vocabulary, width)
    model = nn.Sequential(
        embedding, *(Block(width, 4) for _ in range(4)), nn.LayerNorm(width), nn.Linear(width, vocabulary)
    )
    x, target = torch.randint(vocabulary, (2, 4, tokens))
    return _step(model, lambda: F.cross_entropy(model(x).flatten(0, 1), target.flatten()))


def _step(model: nn.Module, loss: Callable[[], torch.Tensor]) -> Callable[[], None]:
    optimizer = torch.optim.AdamW(model.parameters())

    def step() -> None:
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()

    return step


def _profiler() -> profile:
    return profile(activities=[ProfilerActivity.CPU], with_flops=True)


def costs(step: Callable[[], None], runs: int) -> dict[str, float]:
    """Return the median seconds of the step under each counter, relative to the plain step."""
    meter = FlopMeter()
    counters = {
        "plain": nullcontext,
        "FlopMeter": meter,
        "FlopCount": FlopCount,
        "FlopCounterMode": lambda: FlopCounterMode(display=False),
        "torch.profiler": _profiler,
    }
    seconds: dict[str, list[float]] = {name: [] for name in counters}
    for run in range(runs + 3):  # the first three warm up
        for name, counter in counters.items():
            for _ in range(2):  # the second one is timed: the first one fills the caches after another counter
                start = perf_counter()
                with counter():
                    step()
                elapsed = perf_counter() - start
            if run >= 3:
                seconds[name].append(elapsed)
    return {name: median(taken) / median(seconds["plain"]) for name, taken in seconds.items()}


def main() -> None:
    """Print the table."""
    print("cost of one counted training step, relative to the plain step (medians of interleaved runs)")
    steps = {"MLP": (mlp_step(), 200)}
    # the same operators in both; the larger the vocabulary, the more work there is in each
    steps |= {f"GPT, vocabulary {size:,}": (gpt_step(size), 60) for size in (1024, 4096)}
    for name, (step, runs) in steps.items():
        cells = (f"{counter} {cost:.3f}x" for counter, cost in costs(step, runs).items())
        print(f"  {name}: {', '.join(cells)}", flush=True)


if __name__ == "__main__":
    main()
