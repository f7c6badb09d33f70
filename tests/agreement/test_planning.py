"""Test one rank of a whole plan against what PyTorch runs: FSDP2 and tensor parallelism on a square of faked ranks."""

from dataclasses import replace

import pytest
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import Replicate, Shard
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    PrepareModuleInput,
    RowwiseParallel,
    SequenceParallel,
    loss_parallel,
    parallelize_module,
)
from torch.nn.functional import cross_entropy

from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks
from flopbook.predict.memory import FLOAT32
from flopbook.predict.parallel import carried
from flopbook.predict.parallel.ranks import Mesh, Training, rank_of_mesh
from tests.support.decoder import Attention, FeedForward
from tests.support.ranks import carried_by

SIZES = [
    dict(B=12, T=20, L=3, D=42, H=8, G=4, E=15, F=84, V=132, matrices=3, tables=2),
    dict(B=6, T=4, L=2, D=30, H=4, G=4, E=9, F=156, V=12, matrices=2, tables=2),
]
CASES = [
    (0, Mesh(data=2, tensor=2), True), (0, Mesh(data=3, tensor=4), False), (1, Mesh(data=3, tensor=4), True),
    (1, Mesh(data=6), True),
]  # fmt: skip


class Block(nn.Module):
    """A block whose parts can be put on a mesh."""

    def __init__(self, D, H, G, E, F, gated):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D, bias=False), nn.LayerNorm(D, bias=False)
        self.attention, self.feed = Attention(D, H, G, E, None), FeedForward(D, F, gated)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.feed(self.norm2(x))


class Decoder(nn.Module):
    """Blocks between an embedding and an output layer."""

    def __init__(self, B, T, L, D, H, G, E, F, V, matrices, tables):  # noqa: PLR0913, PLR0917  (sizes)
        super().__init__()
        self.tokens, self.last = nn.Embedding(V, D), nn.LayerNorm(D, bias=False)
        self.blocks = nn.ModuleList(Block(D, H, G, E, F, matrices == 3) for _ in range(L))
        self.output = nn.Linear(D, V, bias=False)

    def forward(self, tokens):
        x = self.tokens(tokens)
        for block in self.blocks:
            x = block(x)
        return self.output(self.last(x))


def put(model, mesh, sequence):
    """Split a decoder over tensor ranks, in parts of the sequence or not, and shard it over data ranks."""
    between = Shard(1) if sequence else Replicate()
    norm = SequenceParallel() if sequence else None
    whole = PrepareModuleInput(input_layouts=between, desired_input_layouts=Replicate())
    ways = {
        "tokens": RowwiseParallel(input_layouts=Replicate(), output_layouts=between),
        "last": norm,
        "output": ColwiseParallel(input_layouts=between, output_layouts=Shard(-1), use_local_output=False),
    }
    of_block = {
        "norm1": norm, "norm2": norm, "attention": whole, "feed": whole,
        **{f"attention.{name}": ColwiseParallel() for name in "qkv"},
        **{f"feed.{name}": ColwiseParallel() for name in ("up", "gate")},
        "attention.out": RowwiseParallel(output_layouts=between), "feed.down": RowwiseParallel(output_layouts=between),
    }  # fmt: skip
    if mesh["tensor"].size() > 1:
        parallelize_module(model, mesh["tensor"], {name: way for name, way in ways.items() if way})
        for block in model.blocks:
            present = dict(block.named_modules())
            parallelize_module(block, mesh["tensor"], {n: way for n, way in of_block.items() if way and n in present})
    if mesh["data"].size() > 1:
        for each in (*model.blocks, model):
            fully_shard(each, mesh=mesh["data"])


def counted_on(place, mesh, sequence):
    """Count the second step of one rank, when all has been set up."""
    sizes = SIZES[place]
    share = sizes["B"] // mesh.data
    with fake_ranks(mesh.devices):
        torch.manual_seed(0)
        model = Decoder(**sizes)
        put(model, init_device_mesh("cpu", (mesh.data, mesh.tensor), mesh_dim_names=("data", "tensor")), sequence)
        optimizer = torch.optim.AdamW(model.parameters())
        for _ in range(2):
            tokens, right = torch.randint(sizes["V"], (2, share, sizes["T"]))
            with loss_parallel(), FlopCount() as counted:
                logits = model(tokens)
                cross_entropy(logits.flatten(0, 1), right.flatten()).backward()
                optimizer.step()
        held = [sum(map(local_bytes, each)) for each in (
            model.parameters(), (p.grad for p in model.parameters()),
            (v for state in optimizer.state.values() for v in state.values() if v.dim()),
        )]  # fmt: skip
        assert not counted.uncounted
        return counted.forward, counted.backward, held, carried_by(counted)


def local_bytes(tensor):
    return (tensor.to_local() if hasattr(tensor, "to_local") else tensor).nbytes


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[1]}, {'in sequence' if case[2] else 'plain'}")
def test_a_rank_computes_keeps_and_sends_what_the_plan_says(case):
    place, mesh, sequence = case
    forward, backward, held, carries = counted_on(*case)
    right = Training(micro=SIZES[place]["B"] // mesh.data, zero=3, sequence=sequence, formats=FLOAT32)
    one = rank_of_mesh(SIZES[place], mesh, right)
    again = one.attention // 2  # the scores, which a fused attention makes once more on its way back
    assert (one.forward, one.backward + again) == (forward, backward)
    assert [*one.held[:3]] == held
    assert calls_of(one) == carries
    for changed in (dict(zero=2), dict(zero=1), dict(checkpoints="full"), dict(loss=2)):
        other = rank_of_mesh(SIZES[place], mesh, replace(right, **changed))
        assert [*other.held[:3]] != held or calls_of(other) != carries or mesh.tensor == 1


def calls_of(one):
    return carried(transfer for each in one.transfers.values() for transfer in each)
