"""Test reports of sharded models: each process measures its own part, and shards stay."""

import json
import re
import warnings

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FullyShardedDataParallel, fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from flopbook.counts.communication import Sent
from flopbook.measure import Report
from flopbook.measure.distributed import run_ranks
from tests.support.reports import quick

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
    report = Report.measure(step, model=model, device="H100 SXM")  # else each process would measure its own peak
    assert all(map(torch.equal, before, shards(model)))
    assert not optimizer.state and all(parameter.grad is None for parameter in model.parameters())
    step()
    assert not all(map(torch.equal, before, shards(model)))
    with torch.no_grad():
        assert Report.measure(lambda: model(x), model=model, device="H100 SXM").memory.activations == 0
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


HALVES = 4 * (D * H + H + H * K + K) // 2


def _of_two(kinds):
    warnings.simplefilter("ignore")  # PyTorch's own, which differ from kind to kind
    with quick():
        reports = {kind: measured(kind) for kind in kinds}
    return {
        kind: dict(
            flops=(report.forward, report.backward),
            memory=report.memory,
            sent={transfer[:2]: sent for transfer, sent in report.counted.communication.items()},
            mm=[(part.read, part.written) for part in report.work if part.operator == "aten::mm"],
            mfu=report.mfu(1e12) == report.model_flops / report.timing.seconds / 1e12,
            text=str(report),
            html=report._repr_html_(),
            json=json.loads(report.to_json()),
            shares={name: share.calls for name, share in report.shares.items()},
        )
        for kind, report in reports.items()
    }


@pytest.fixture(scope="module")
def of_two():
    """Measure every kind on two ranks."""
    return run_ranks(_of_two, KINDS)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "parallelize_module"])
def test_a_rank_that_shards_runs_the_whole_and_keeps_half(of_two, kind):
    for rank in (found[kind] for found in of_two):
        assert rank["flops"] == (PRODUCTS, 2 * PRODUCTS - 2 * B * D * H)
        assert (rank["memory"].parameters, rank["memory"].gradients) == (HALVES, HALVES)
        assert rank["memory"].activations == ACTIVATIONS
        assert {"all-gather", "reduce-scatter"} <= {collective for collective, _ in rank["sent"]}


def test_a_rank_of_a_split_layer_runs_half(of_two):
    for rank in (found["parallelize_module"] for found in of_two):
        assert rank["flops"] == (PRODUCTS // 2, PRODUCTS - B * D * H)
        assert rank["memory"].parameters == HALVES + 4 * K // 2  # both have the bias behind the sum
        assert rank["memory"].activations == 4 * B * (D + H + K)
        assert rank["sent"] == {("all-reduce", "forward"): Sent(1, 4 * B * K, 4 * B * K)}


def test_a_rank_of_a_split_layer_moves_the_bytes_of_its_shards(of_two):
    half = H // 2
    read = B * K + K * half + B * K + B * half + B * half + B * D  # the gradients of h, of w2 and of w1
    for rank in (found["parallelize_module"] for found in of_two):
        assert sum(bytes_read for bytes_read, _ in rank["mm"]) == 4 * read
        assert sum(written for _, written in rank["mm"]) == 4 * (B * half + K * half + D * half)


@pytest.mark.parametrize("kind", KINDS)
def test_a_report_shows_what_a_rank_sends(of_two, kind):
    for rank in (found[kind] for found in of_two):
        assert rank["mfu"] and rank["shares"]["communication"] > 0
        for collective, phase in rank["sent"]:
            assert re.search(rf"^{collective} +{phase} ", rank["text"], re.MULTILINE)
            assert f'<th scope="row">{collective}</th>' in rank["html"]
        told = [(each["collective"], each["phase"]) for each in rank["json"]["counted"]["communication"]]
        assert dict.fromkeys(told) == dict.fromkeys(rank["sent"])
        assert "Ranks: FLOPs, bytes and seconds are of this rank alone" in rank["text"]


def test_a_report_without_ranks_says_nothing_of_them(alone):
    layer = nn.Linear(D, H)
    report = Report.measure(lambda: layer(torch.ones(B, D)), model=layer)
    assert "Ranks:" not in str(report) and "communication" not in report.shares
