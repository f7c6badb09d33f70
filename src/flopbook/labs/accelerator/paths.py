"""Count on the device what has its own kernels there, and name the uncounted."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from flopbook.labs.accelerator.clock import Clock
from flopbook.measure.counting.count import FlopCount
from flopbook.measure.machine import product

B, H, T, E, D = 2, 4, 64, 64, 256
_LEFT = 60  # seconds that are kept for the parts that follow

Run = Callable[[], object]


def count(device: str, clock: Clock) -> Mapping[str, Any]:
    """Count each path once, after a first run; say why one cannot run."""
    with warnings.catch_warnings():  # PyTorch warns of prototypes, and of what is not compiled
        warnings.simplefilter("ignore")
        return {
            name: _counted(make, device) if clock.left > _LEFT else {"missing": "the time for it was over"}
            for name, make in PATHS.items()
        }


def _counted(make: Callable[[str], Run], device: str) -> dict[str, Any]:
    try:
        run = make(device)
        run()
        with FlopCount() as counted:
            run()
    except Exception as error:  # each kernel reports in its own way that a device lacks it
        return {"missing": str(error).strip().partition("\n")[0][:300] or type(error).__name__}
    phases = {phase: getattr(counted, phase) for phase in ("forward", "backward", "recomputed", "optimizer")}
    operators = {name: row._asdict() for name, row in counted.by_operator.items()}
    pointwise = {phase: flops for phase, flops in counted.pointwise.items() if flops}
    return {
        **phases,
        "integer": sum(counted.integer.values()),
        "pointwise": pointwise,
        "operators": operators,
        "uncounted": counted.uncounted,
    }


def _recurrent(kind: type[nn.Module]) -> Callable[[str], Run]:
    def make(device: str) -> Run:
        layer, x = kind(D, D).to(device), torch.randn(T, B, D, device=device, requires_grad=True)
        return lambda: layer(x)[0].sum().backward()

    return make


def _optimizer(kind: Callable[..., torch.optim.Optimizer], **how: bool) -> Callable[[str], Run]:
    def make(device: str) -> Run:
        layer = nn.Linear(D, D, device=device)
        optimizer = kind(layer.parameters(), lr=1e-3, **how)
        layer(torch.ones(B, D, device=device)).sum().backward()
        return optimizer.step

    return make


def _autocast(device: str) -> Run:
    layer, x = nn.Linear(D, D, device=device), torch.randn(B, D, device=device, requires_grad=True)

    def run() -> None:
        with torch.autocast(device, dtype=torch.bfloat16):
            y = layer(x)
        y.sum().backward()

    return run


def _attention(kernel: SDPBackend) -> Callable[[str], Run]:
    def make(device: str) -> Run:
        q, k, v = _heads(device)

        def run() -> None:
            with sdpa_kernel(kernel):
                scaled_dot_product_attention(q, k, v, is_causal=True).sum().backward()

        return run

    return make


def _heads(device: str) -> list[Tensor]:
    return [torch.randn(B, H, T, E, device=device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]


def _tokens(device: str) -> list[Tensor]:
    """Make queries, keys and values of two sequences, one after the other."""
    return [torch.randn(2 * T, H, E, device=device, dtype=torch.bfloat16, requires_grad=True) for _ in range(3)]


def _varlen(device: str) -> Run:
    from torch.nn.attention.varlen import varlen_attn  # noqa: PLC0415  (it is not in every release)

    q, k, v = _tokens(device)
    ends = torch.tensor([0, T // 2, 2 * T], device=device, dtype=torch.int32)
    return lambda: cast(Tensor, varlen_attn(q, k, v, ends, ends, 2 * T, 2 * T)).sum().backward()


def _jagged(device: str) -> Run:
    ends = torch.tensor([0, T // 2, 2 * T], device=device)
    q, k, v = (torch.nested.nested_tensor_from_jagged(tokens, ends).transpose(1, 2) for tokens in _tokens(device))
    return lambda: scaled_dot_product_attention(q, k, v).values().sum().backward(retain_graph=True)


def _flex(device: str) -> Run:
    q, k, v = (head.detach().float().requires_grad_(device != "cpu") for head in _heads(device))
    attend = torch.compile(flex_attention) if device != "cpu" else flex_attention

    def run() -> None:
        out = cast(Tensor, attend(q, k, v))
        if out.requires_grad:
            out.sum().backward()

    return run


def _replay(device: str) -> Run:
    if device != "cuda":
        raise NotImplementedError(f"CUDA graphs are a way to run NVIDIA GPUs, and this device is {device}")
    x, w = torch.randn(B, D, device=device), torch.randn(D, D, device=device)
    x @ w
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        x @ w
    return graph.replay


#: The paths by name: each function sets a path up on a device, and returns a function that runs it once.
PATHS: dict[str, Callable[[str], Run]] = {
    "LSTM": _recurrent(nn.LSTM),
    "GRU": _recurrent(nn.GRU),
    "RNN": _recurrent(nn.RNN),
    "AdamW, a loop": _optimizer(torch.optim.AdamW, foreach=False),
    "AdamW, foreach": _optimizer(torch.optim.AdamW, foreach=True),
    "AdamW, fused": _optimizer(torch.optim.AdamW, fused=True),
    "SGD, fused": _optimizer(torch.optim.SGD, fused=True),
    "autocast": _autocast,
    "attention, flash": _attention(SDPBackend.FLASH_ATTENTION),
    "attention, memory-efficient": _attention(SDPBackend.EFFICIENT_ATTENTION),
    "attention, cuDNN": _attention(SDPBackend.CUDNN_ATTENTION),
    "attention, math": _attention(SDPBackend.MATH),
    "attention of sequences of different lengths (varlen_attn)": _varlen,
    "attention of a jagged tensor": _jagged,
    "flex attention": _flex,
    "8-bit product (scaled_mm)": lambda device: product("fp8", device, D),
    "integer product (_int_mm)": lambda device: product("int8", device, D),
    "replay of a CUDA graph, which runs no operator that anything could count": _replay,
}
