"""Test one rank of many in a single process, and what is refused there."""

import sys

import pytest
import torch
from torch import distributed, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module

from flopbook.counts.communication import Sent
from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks

B, D, H, K = 3, 16, 1024 * 5, 11


def perceptron():
    return nn.Sequential(nn.Linear(D, H, bias=False), nn.ReLU(), nn.Linear(H, K, bias=False))


def test_a_rank_of_1024_runs_its_share_of_a_split_model():
    with fake_ranks(1024, rank=1023):
        mesh = init_device_mesh("cpu", (1024,))
        model = parallelize_module(perceptron(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
        x = torch.ones(B, D)
        model(x)  # the first call propagates shapes
        with FlopCount() as counted:
            model(x)
    assert counted.total == 2 * B * 5 * (D + K)
    payload = 4 * B * K
    assert counted.by_collective == {"all-reduce": Sent(1, payload, -(-2 * payload * 1023 // 1024))}


def test_a_rank_of_1024_gathers_what_is_sharded():
    with fake_ranks(1024, rank=5):
        model = fully_shard(perceptron(), mesh=init_device_mesh("cpu", (1024,)))
        with FlopCount() as counted, torch.no_grad():
            model(torch.ones(B, D))
    whole = 4 * (H * D + 1024 * H)  # of K = 11 rows, each rank keeps one, so that there are 1,024
    assert counted.by_collective == {"all-gather": Sent(1, whole, whole * 1023 // 1024)}
    assert counted.total == 2 * B * H * (D + K)


def steps_without_data(rank, count_first):
    """Count two steps of a perceptron whose layers two ranks share, and whose parts three shard."""
    with fake_ranks(6, rank):
        mesh = init_device_mesh("cpu", (3, 2), mesh_dim_names=("data", "tensor"))
        with torch.device("meta"):
            model = perceptron().append(nn.ReLU())  # PyTorch warns where a sharded module returns a view
        parallelize_module(model, mesh["tensor"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
        fully_shard(model, mesh=mesh["data"])
        fake, counts = FakeTensorMode(allow_non_fake_inputs=True), []
        with fake:
            model.to_empty(device="cpu")
        for _ in range(2):
            counted = FlopCount()
            with counted if count_first else fake, fake if count_first else counted:
                model(torch.ones(B, D)).square().sum().backward()
            counts.append((counted.forward, counted.backward, counted.by_collective))
    return counts


@pytest.mark.parametrize("count_first", [False, True])
def test_a_step_without_data_counts_what_a_rank_runs_the_first_time_too(count_first):
    of_rank = 2 * B * (H // 2)
    padded = 4 * 3 * (854 * D + 4 * H // 2)  # of 2,560 and of 11 rows
    sent = {
        "all-gather": Sent(1, padded, padded * 2 // 3),
        "all-reduce": Sent(1, 4 * B * K, 4 * B * K),
        "reduce-scatter": Sent(1, padded, padded * 2 // 3),
    }
    step = (of_rank * (D + K), of_rank * (D + 2 * K), sent)
    for rank in (0, 3):  # the second one finds nothing of the first one's groups
        assert steps_without_data(rank, count_first) == [step, step]


def test_the_group_ends_with_the_block_and_after_an_error():
    shows_errors = sys.excepthook
    for error in (None, ValueError("stopped")):
        try:
            with fake_ranks(8, rank=3):
                assert (distributed.get_rank(), distributed.get_world_size()) == (3, 8)
                if error:
                    raise error
        except ValueError as caught:
            assert caught is error
        assert not distributed.is_initialized() and sys.excepthook is shows_errors


@pytest.mark.parametrize(
    ("ranks", "rank", "words"),
    [
        (0, 0, "^ranks=0 is not a size: write a whole number of at least 1$"),
        (8, 8, "^rank=8 is not one of 8: give 0 to 7$"),
        (8, -1, "^rank=-1 is not a size: write a whole number of at least 0$"),
        (8.0, 0, r"^ranks=8\.0 is not a size"),
        (8, None, "^rank=None is not a size"),
    ],
)
def test_a_rank_that_is_not_there_is_refused(ranks, rank, words):
    with pytest.raises(ValueError, match=words), fake_ranks(ranks, rank):
        pass
    assert not distributed.is_initialized()


def test_a_second_group_is_refused_and_the_first_stays():
    with fake_ranks(4, rank=1):
        with (
            pytest.raises(RuntimeError, match=r"^this process is rank 1 of 4 already: end that group with torch\.dist"),
            fake_ranks(8),
        ):
            pass
        assert distributed.get_world_size() == 4
