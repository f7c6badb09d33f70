"""Test that counts and reports of real ranks come together, and what is refused."""

import os
import re
import signal

import pytest
import torch
from torch import distributed, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

from flopbook.counts.communication import Sent
from flopbook.measure import FlopCount, Report
from flopbook.measure.distributed import fake_ranks, gather, run_ranks

B, D, H = 8, 64, 256


def perceptron():
    return nn.Sequential(nn.Linear(D, H, bias=False), nn.GELU(), nn.Linear(H, D, bias=False))


def split_in_two():
    mesh = init_device_mesh("cpu", (distributed.get_world_size(),))
    return parallelize_module(perceptron(), mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})


def counted(model, samples=B):
    x = torch.ones(samples, D)
    with FlopCount() as counted:
        model(x).square().mean().backward()
    return counted


def _cases():
    rank = distributed.get_rank()
    split, copies = split_in_two(), DistributedDataParallel(perceptron())
    x = torch.ones(B + 2 * rank, D)

    def step():
        copies(x).square().mean().backward()

    report = Report.measure(step, model=copies, device="H100 SXM")  # else each process would measure its own peak
    with FlopCount() as open_block:
        inside = gather(open_block)
    try:
        gather(7 if rank else open_block)
    except TypeError as error:
        refused = str(error)
    return dict(
        split=gather(counted(split)),
        uneven=gather(counted(copies, B + 2 * rank)),
        report=gather(report),
        seconds=report.timing.seconds,
        inside=(inside, open_block.communication),
        refused=refused,
    )


@pytest.fixture(scope="module")
def found():
    return run_ranks(_cases)


def test_every_rank_gets_all(found):
    first, second = found
    for case in ("split", "uneven", "report"):
        assert first[case] == second[case]
        assert [rank.rank for rank in first[case].ranks] == [0, 1]


def test_a_split_layer_is_counted_on_each_rank(found):
    for rank in found[0]["split"].ranks:
        assert (rank.flops["forward"], rank.flops["backward"]) == (262_144, 393_216)
        assert rank.sent == {"all-reduce": Sent(1, 2048, 2048)}
    assert found[0]["split"].imbalance == dict.fromkeys(
        ("forward", "backward", "all", "pointwise", "payload", "ring"), 1
    )


def test_uneven_batches_show(found):
    ranks = found[0]["uneven"]
    assert [rank.flops["forward"] for rank in ranks.ranks] == [4 * D * H * B, 4 * D * H * (B + 2)]
    assert ranks.imbalance["all"] == (B + 2) / (B + 1)
    assert [rank.sent for rank in ranks.ranks] == [{"all-reduce": Sent(1, 8 * D * H, 8 * D * H)}] * 2


def test_a_report_also_gives_bytes_and_seconds(found):
    for number, rank in enumerate(found[0]["report"].ranks):
        assert rank.flops["forward"] == 4 * D * H * (B + 2 * number)
        assert (rank.kept["parameters"], rank.kept["gradients"]) == (8 * D * H, 8 * D * H)
        assert rank.seconds == found[number]["seconds"]
    assert found[0]["uneven"].ranks[0].kept is None


def test_what_is_gathered_is_not_counted(found):
    ranks, communication = found[0]["inside"]
    assert communication == {} and ranks.imbalance == {}


def test_all_ranks_hear_of_a_mistake_on_one(found):
    said = "rank 1 of 2: 7 is not a count: give a FlopCount, or a Report"
    assert [each["refused"] for each in found] == [said] * 2


def test_a_missing_group_is_told_with_the_remedy():
    with pytest.raises(RuntimeError, match=r"^there is no process group to gather from: start the ranks with torchrun"):
        gather(FlopCount())


def test_fake_ranks_cannot_be_gathered():
    with fake_ranks(8), pytest.raises(RuntimeError, match=r"^the other ranks of 8 are not there to gather from"):
        gather(FlopCount())


def _loses_one():
    count = counted(perceptron())
    distributed.barrier()
    if distributed.get_rank() == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    try:
        gather(count)
    except RuntimeError as error:
        print(error, flush=True)
        raise


def test_a_rank_that_is_killed_meanwhile_is_told(tmp_path):
    def step(path):
        try:
            _loses_one()
        except RuntimeError as error:
            path.write_text(str(error), encoding="utf-8")
            raise

    with pytest.raises(RuntimeError, match=r"^rank 1 of 2 was killed by SIGKILL: all ranks were ended$"):
        run_ranks(step, tmp_path / "said")
    said = (tmp_path / "said").read_text("utf-8")
    assert re.match(
        r"rank 0 of 2 lost another while gathering: look at that one's output for why it ended \(.*\)$", said
    )
