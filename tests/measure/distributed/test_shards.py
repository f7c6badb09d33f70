"""Test that each rank counts what it runs: its shards, in both passes, and nothing that only finds out shapes."""

import pytest
import torch
from torch import distributed, nn
from torch._subclasses import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor, Replicate, Shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.utils.checkpoint import checkpoint
from torch.utils.flop_counter import FlopCounterMode

from flopbook.counts.communication import Sent, Transfer
from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks, run_ranks

B, D, H, K = 6, 10, 24, 14
FORWARD = 2 * B * (D * H + H * K)
BACKWARD = FORWARD + 2 * B * H * K  # the data needs no gradient


def network():
    return nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, K))


def split_in_columns_and_rows(ranks):
    mesh = init_device_mesh("cpu", (ranks,))
    return parallelize_module(network(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})


def counts_of_two_steps():
    model, x = split_in_columns_and_rows(2), torch.randn(B, D)
    counts = []
    for _ in range(2):
        with FlopCount() as counted:
            model(x).square().mean().backward()
        counts.append((counted.forward, counted.backward, counted.by_collective, counted.uncounted))
    with FlopCounterMode(display=False) as others:
        model(x).square().mean().backward()
    return counts, others.get_total_flops()


def test_the_first_step_counts_as_every_other_and_each_rank_its_half():
    half = (FORWARD // 2, BACKWARD // 2, {"all-reduce": Sent(1, 4 * B * K, 4 * B * K)}, {})
    for counts, others in run_ranks(counts_of_two_steps):
        assert counts == [half, half]
        assert others == FORWARD + BACKWARD  # a counter that takes the whole for a shard


@pytest.mark.parametrize("ranks", [1, 2, 8])
def test_a_split_layer_counts_its_shard_on_fake_ranks(ranks):
    with fake_ranks(ranks):
        model, x = split_in_columns_and_rows(ranks), torch.randn(B, D)
        with FlopCount() as counted:
            model(x).square().mean().backward()
    assert (ranks * counted.forward, ranks * counted.backward) == (FORWARD, BACKWARD)


def test_operators_between_sharded_tensors_count_the_shard():
    with fake_ranks(4):
        mesh = init_device_mesh("cpu", (4,))
        left = DTensor.from_local(torch.ones(3, 5), mesh, [Shard(0)])
        right = DTensor.from_local(torch.ones(5, 7), mesh, [Replicate()])
        with FlopCount() as counted:
            (left @ right).relu()
    assert (counted.forward, counted.pointwise["forward"]) == (2 * 3 * 5 * 7, 3 * 7)


def sharded(model, ranks):
    mesh = init_device_mesh("cpu", (ranks,))
    for layer in model[::2]:
        fully_shard(layer, mesh=mesh)
    return fully_shard(model, mesh=mesh)


def of_a_sharded_step():
    model = sharded(network(), 2)
    with FlopCount() as counted:
        model(torch.randn(B, D)).square().mean().backward()
    return counted.forward, counted.backward, counted.communication


def test_what_a_backward_pass_leaves_for_its_end_is_backward():
    first, second = 4 * (D * H + H), 4 * (H * K + K)
    for forward, backward, communication in run_ranks(of_a_sharded_step):
        assert (forward, backward) == (FORWARD, BACKWARD)
        scattered = {
            transfer.module: sent.payload
            for transfer, sent in communication.items()
            if transfer.collective == "reduce-scatter" and transfer.phase == "backward"
        }
        assert scattered == {"FSDPSequential.2": second, "": first}
        gathered = communication[Transfer("all-gather", "forward", "FSDPSequential.0", 2)]
        assert gathered == Sent(1, first, first // 2)


def test_shards_without_data_count_the_same_in_a_fake_mode():
    with torch.device("meta"):
        model = network()
    with fake_ranks(4):
        sharded(model, 4)
        with FakeTensorMode(allow_non_fake_inputs=True):
            model.to_empty(device="cpu")
            x = torch.empty(B, D)
            with FlopCount() as counted:
                model(x).square().mean().backward()
    assert (counted.forward, counted.backward, counted.uncounted) == (FORWARD, BACKWARD, {})
    assert counted.by_collective["all-gather"].payload == 4 * 2 * (H * (D + 1) + 16 * (H + 1))  # K = 14, padded to 16


def recomputing_step():
    model, x = split_in_columns_and_rows(2), torch.randn(B, D, requires_grad=True)
    with FlopCount() as counted:
        checkpoint(lambda x: model(x).relu(), x, use_reentrant=False).sum().backward()
    return counted.forward, counted.recomputed, {transfer.phase for transfer in counted.communication}


def test_a_checkpoint_on_ranks_counts_the_shard_again():
    for forward, recomputed, phases in run_ranks(recomputing_step):
        assert forward == recomputed == FORWARD // 2
        assert phases == {"forward", "recomputed", "backward"}


def test_a_group_of_its_own_has_fewer_ranks():
    with fake_ranks(8):
        pair = distributed.new_group([0, 1])
        with FlopCount() as counted:
            distributed.all_reduce(torch.zeros(512), group=pair)
    assert list(counted.communication) == [Transfer("all-reduce", "forward", "", 2)]


def compiled_step():
    model, x = split_in_columns_and_rows(2), torch.randn(B, D)
    run = torch.compile(model, backend="eager")
    with FlopCount() as counted:
        run(x).square().mean().backward()
    return counted.forward, counted.backward, counted.by_collective


def test_a_compiled_model_on_ranks_counts_as_it_would_uncompiled():
    half = (FORWARD // 2, BACKWARD // 2, {"all-reduce": Sent(1, 4 * B * K, 4 * B * K)})
    assert run_ranks(compiled_step) == [half, half]


@pytest.mark.filterwarnings("ignore:FSDP2-wrapped module .* returned a view tensor")
@pytest.mark.parametrize(("copies", "shards", "split"), [(2, 2, 2), (3, 2, 4), (5, 3, 4)])
def test_a_mesh_of_three_axes_counts_each_in_its_own_group(copies, shards, split):
    with fake_ranks(copies * shards * split, rank=1):
        mesh = init_device_mesh("cpu", (copies, shards, split), mesh_dim_names=("copies", "shards", "split"))
        model = parallelize_module(network(), mesh["split"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
        fully_shard(model, mesh=mesh["copies", "shards"])
        with FlopCount() as counted:
            model(torch.randn(B, D)).square().mean().backward()
    assert (split * counted.forward, split * counted.backward, counted.uncounted) == (FORWARD, BACKWARD, {})
    calls = sorted(
        (each.collective, each.phase, each.ranks, sent.calls) for each, sent in counted.communication.items()
    )
    sums = [("all-reduce", "backward", copies, 1), ("all-reduce", "forward", split, 1)]
    assert calls == [("all-gather", "forward", shards, 1), *sums, ("reduce-scatter", "backward", shards, 1)]
