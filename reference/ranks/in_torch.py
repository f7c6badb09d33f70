"""Count one rank of many that train a Llama, with PyTorch's fake process group: no other rank is there, and no data.

Layers are split as torchtitan does it: https://github.com/pytorch/torchtitan. Attention is written out, scores and all,
so that each of its products is counted by itself.
"""

import math
import resource
import sys
import time
from collections import defaultdict
from contextlib import nullcontext
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    loss_parallel,
    parallelize_module,
)
from torch.nn import functional
from torch.utils.flop_counter import FlopCounterMode

from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks
from flopbook.measure.memory import weigh

#: Parameters are gathered in 16 bits, gradients are summed in 32, and both are kept in 32.
FORMATS = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)


class Attention(nn.Module):
    """Lets H heads of queries share G heads of keys and values, E wide."""

    def __init__(self, D: int, H: int, G: int, E: int):
        super().__init__()
        self.E, self.shared_by = E, H // G
        self.wq, self.wk, self.wv = (nn.Linear(D, heads * E, bias=False) for heads in (H, G, G))
        self.wo = nn.Linear(H * E, D, bias=False)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        """Return what the tokens x[B,T,D] take from those before them."""
        q, k, v = (w(x).unflatten(-1, (-1, self.E)).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        q, k = turned(q, angles), turned(k, angles)
        k, v = (each.repeat_interleave(self.shared_by, dim=1) for each in (k, v))
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).triu(1)
        scores = (q @ k.mT / math.sqrt(self.E)).masked_fill(later, -math.inf)
        return self.wo((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


def turned(x: Tensor, angles: Tensor) -> Tensor:
    """Turn queries or keys x[B,H,T,E] by the angles of their positions."""
    left, right = x.chunk(2, -1)
    turn = angles.to(x.dtype)
    return x * turn.cos() + torch.cat((-right, left), -1) * turn.sin()


class FeedForward(nn.Module):
    """Holds a feed-forward part with a gate, F wide."""

    def __init__(self, D: int, F: int):
        super().__init__()
        self.w1, self.w3 = (nn.Linear(D, F, bias=False) for _ in range(2))
        self.w2 = nn.Linear(F, D, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the result for x[B,T,D]."""
        return self.w2(functional.silu(self.w1(x)) * self.w3(x))


class Block(nn.Module):
    """Puts a norm before each part, and adds what the part gives."""

    def __init__(self, D: int, H: int, G: int, E: int, F: int):
        super().__init__()
        self.attention_norm, self.ffn_norm = nn.RMSNorm(D), nn.RMSNorm(D)
        self.attention, self.feed_forward = Attention(D, H, G, E), FeedForward(D, F)

    def forward(self, x: Tensor, angles: Tensor) -> Tensor:
        """Return the result for x[B,T,D]."""
        x = x + self.attention(self.attention_norm(x), angles)
        return x + self.feed_forward(self.ffn_norm(x))


class Llama(nn.Module):
    """Stacks L blocks between an embedding and an output layer, for sequences of T tokens."""

    def __init__(self, T: int, L: int, D: int, H: int, G: int, E: int, F: int, V: int):  # noqa: PLR0913, PLR0917
        super().__init__()
        self.tok_embeddings = nn.Embedding(V, D)
        self.layers = nn.ModuleList(Block(D, H, G, E, F) for _ in range(L))
        self.norm = nn.RMSNorm(D)
        self.output = nn.Linear(D, V, bias=False)
        self.register_buffer("angles", torch.empty(T, E), persistent=False)  # a count asks for no values

    def forward(self, tokens: Tensor) -> Tensor:
        """Return the logits of tokens[B,T]."""
        x = self.tok_embeddings(tokens)
        for layer in self.layers:
            x = layer(x, self.angles)
        return self.output(self.norm(x))


class Counted(NamedTuple):
    """Holds what one rank ran, kept and sent in a step.

    Attributes
    ----------
    flops : dict of str to int
        FLOPs by phase.
    bytes : dict of str to int
        Bytes of parameters, gradients and optimizer state after the step.
    sent : dict
        Calls, payload and what a ring makes the rank send, in bytes, by collective, phase and ranks that take part.
    flop_counter_mode : int or None
        What PyTorch's own counter says of the same step, if it was asked.
    seconds : float
        From the first module to the end of the count.
    memory : int
        Most bytes that this process has held so far.
    """

    flops: dict[str, int]
    bytes: dict[str, int]
    sent: dict[tuple[str, str, int], tuple[int, int, int]]
    flop_counter_mode: int | None
    seconds: float
    memory: int


def count(  # noqa: PLR0913
    sizes: dict[str, int], *, ranks: int, tensor: int, rank: int, recompute: bool, ask_pytorch: bool = False
) -> Counted:
    """Count a training step of one rank: forward, backward and AdamW.

    Parameters
    ----------
    sizes : dict of str to int
        Letters L, D, H, G, E, F and V of the model, B sequences of each rank, T tokens, and `tables`: 1 where the
        embedding is also the output layer.
    ranks, tensor, rank : int
        How many there are, how many of them share each layer, and which one is counted. Neighbours share a layer.
    recompute : bool
        Whether each block is checkpointed.
    ask_pytorch : bool
        Whether to run another step under PyTorch's counter.
    """
    begun = time.monotonic()
    with fake_ranks(ranks, rank):
        mesh = init_device_mesh("cpu", (ranks // tensor, tensor), mesh_dim_names=("data", "tensor"))
        model = on_meta(sizes, mesh, recompute)
        with FakeTensorMode(allow_non_fake_inputs=True):  # the model on meta is what is not fake yet
            model.to_empty(device="cpu")
            tie(model, sizes)  # to_empty gives each module a tensor of its own
            optimizer = torch.optim.AdamW(model.parameters(), fused=True)
            tokens, targets = (torch.empty(sizes["B"], sizes["T"], dtype=torch.int64) for _ in range(2))

            def step() -> None:
                with loss_parallel() if tensor > 1 else nullcontext():
                    logits = model(tokens).flatten(0, 1).float()
                    functional.cross_entropy(logits, targets.flatten()).backward()
                optimizer.step()

            with FlopCount() as counted:
                held = weigh(step, model, [optimizer])
            seconds = time.monotonic() - begun
            said = None
            if ask_pytorch:
                with FlopCounterMode(display=False) as theirs:
                    step()
                said = theirs.get_total_flops()
    if counted.uncounted:
        raise RuntimeError(f"not counted: {', '.join(counted.uncounted)}")
    flops = {phase: getattr(counted, phase) for phase in ("forward", "backward", "recomputed")}
    held_bytes = {kind: getattr(held, kind) for kind in ("parameters", "gradients", "optimizer")}
    return Counted(flops, held_bytes, sent(counted), said, seconds, most_memory())


def on_meta(sizes: dict[str, int], mesh: DeviceMesh, recompute: bool) -> Llama:
    """Build the model without data, split its layers, and shard the parts.

    This is done outside of FakeTensorMode, which does not let a parameter become a sharded one.
    """
    with torch.device("meta"):
        model = Llama(**{letter: sizes[letter] for letter in "TLDHGEFV"})
    if mesh["tensor"].size() > 1:
        split(model, mesh["tensor"])
    tie(model, sizes)
    if recompute:
        for name, layer in model.layers.named_children():
            model.layers.register_module(name, checkpoint_wrapper(layer))
    for layer in model.layers:
        fully_shard(layer, mesh=mesh["data"], mp_policy=FORMATS)
    fully_shard(model, mesh=mesh["data"], mp_policy=FORMATS)
    return model


def tie(model: Llama, sizes: dict[str, int]) -> None:
    """Let the output layer use the embedding's table, where the model has one table."""
    if sizes["tables"] == 1:
        model.output.weight = model.tok_embeddings.weight


def split(model: Llama, mesh: DeviceMesh) -> None:
    """Split each layer over the ranks of a mesh; between the split products each rank has some of the tokens."""
    tokens = Shard(1)
    parallelize_module(model, mesh, {
        "tok_embeddings": RowwiseParallel(input_layouts=Replicate(), output_layouts=tokens),
        "norm": SequenceParallel(),
        "output": ColwiseParallel(input_layouts=tokens, output_layouts=Shard(-1), use_local_output=False),
    })  # fmt: skip
    for layer in model.layers:
        parallelize_module(layer, mesh, {
            "attention_norm": SequenceParallel(),
            "attention": PrepareModuleInput(
                input_layouts=(tokens, None), desired_input_layouts=(Replicate(), None)
            ),
            **{f"attention.{name}": ColwiseParallel() for name in ("wq", "wk", "wv")},
            "attention.wo": RowwiseParallel(output_layouts=tokens),
            "ffn_norm": SequenceParallel(),
            "feed_forward": PrepareModuleInput(input_layouts=(tokens,), desired_input_layouts=(Replicate(),)),
            **{f"feed_forward.{name}": ColwiseParallel() for name in ("w1", "w3")},
            "feed_forward.w2": RowwiseParallel(output_layouts=tokens),
        })  # fmt: skip


def sent(counted: FlopCount) -> dict[tuple[str, str, int], tuple[int, int, int]]:
    """Add up calls, payload and bytes of a ring by collective, phase and ranks."""
    sums: defaultdict[tuple[str, str, int], list[int]] = defaultdict(lambda: [0, 0, 0])
    for transfer, carried in counted.communication.items():
        for place, value in enumerate(carried):
            sums[transfer.collective, transfer.phase, transfer.ranks][place] += value
    return {key: (calls, payload, ring) for key, (calls, payload, ring) in sums.items()}


def most_memory() -> int:
    """Return the most bytes that this process has held."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else 1024 * most
