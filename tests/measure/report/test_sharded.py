"""Test reports of sharded models: each process measures its own part, and shards stay."""

import warnings

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from flopbook.measure import Report
from flopbook.measure.distributed import run_ranks

B, D, H, K = 4, 16, 32, 8
PRODUCTS = 2 * B * (D * H + H * K)
ACTIVATIONS = 4 * B * (D + 2 * H + K)  # the data, before and after GELU, and what is squared


def sharded(kind):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(D, H), nn.GELU(), nn.Linear(H, K))
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    if kind == "fully_shard":
        for layer in model[::2]:
            fully_shard(layer, mesh=mesh)
        return fully_shard(model, mesh=mesh)
    if kind == "parallelize_module":
        return parallelize_module(model, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
    return FullyShardedDataParallel(model, device_id=torch.device("cpu"), use_orig_params=kind.endswith("parameters"))


KINDS = ("fully_shard", "parallelize_module", "FSDP1", "FSDP1 with original parameters")


def shards(model):
    local = (parameter.to_local() if hasattr(parameter, "to_local") else parameter for parameter in model.parameters())
    return [shard.detach().clone() for shard in local]


def measured(kind):
    """Report one training step, check the shards, and run one step more."""
    model, x = sharded(kind), torch.randn(B, D)
    optimizer = torch.optim.AdamW(model.parameters())

    def step():
        optimizer.zero_grad()
        model(x).square().mean().backward()
        optimizer.step()

    before = shards(model)
    report = Report.measure(step, model=model)
    assert all(map(torch.equal, before, shards(model)))
    assert not optimizer.state and all(parameter.grad is None for parameter in model.parameters())
    step()
    assert not all(map(torch.equal, before, shards(model)))
    with torch.no_grad():
        assert Report.measure(lambda: model(x), model=model).memory.activations == 0
    step()
    return report


@pytest.fixture(scope="module")
def alone():
    """Make a group of this process alone."""
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    yield
    distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore:FSDP is switching to use `NO_SHARD`")
@pytest.mark.parametrize("kind", KINDS)
def test_in_one_process(alone, kind):
    report = measured(kind)
    assert report.forward == PRODUCTS
    assert report.backward == 2 * PRODUCTS - 2 * B * D * H
    assert report.memory.activations == ACTIVATIONS
    assert report.memory.parameters == 4 * (D * H + H + H * K + K)


def _of_two():
    warnings.simplefilter("ignore")  # PyTorch's own, which differ from kind to kind
    return {kind: measured(kind).memory for kind in KINDS}


def test_in_two_processes():
    whole, last_bias = 4 * (D * H + H + H * K + K), 4 * K
    for memories in run_ranks(_of_two, ranks=2):
        assert all(memories[kind].activations == ACTIVATIONS for kind in KINDS if kind != "parallelize_module")
        halves = dict.fromkeys(KINDS, whole // 2)
        halves["parallelize_module"] += last_bias // 2  # each rank has the whole of it
        assert {kind: memory.parameters for kind, memory in memories.items()} == halves
