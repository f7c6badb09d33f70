"""Run under Nsight Compute: a product and attention, each within a range that names it."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.cuda import nvtx
from torch.nn.functional import scaled_dot_product_attention

from flopbook.labs.accelerator.executed import SIZES


@contextmanager
def _range(name: str) -> Iterator[None]:
    """Name what runs in the block, also in the backward pass's own thread."""
    torch.cuda.synchronize()
    mark = nvtx.range_start(f"flopbook:{name}")
    yield
    torch.cuda.synchronize()
    nvtx.range_end(mark)


def main() -> None:
    """Run each program once, after one product that sets the device up."""
    B, H, T, E, D, K = SIZES.values()

    def random(*sizes: int) -> torch.Tensor:
        return torch.randn(sizes, device="cuda", dtype=torch.bfloat16, requires_grad=True)

    x, w = random(B * T, D), random(D, K)
    x @ w
    with _range("product"):
        x @ w
    for mask in ("dense", "causal"):
        q, k, v = (random(B, H, T, E) for _ in range(3))
        with _range(f"attention, {mask}, forward"):
            out = scaled_dot_product_attention(q, k, v, is_causal=mask == "causal")
        gradient = torch.ones_like(out)
        with _range(f"attention, {mask}, backward"):
            torch.autograd.grad(out, (q, k, v), gradient)


if __name__ == "__main__":
    main()
