"""Test the command under torchrun: one report, one table of ranks, one sentence for a mistake."""

import io
import json
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout

import pytest
from torch import distributed

from flopbook.command import main
from flopbook.measure import machine, report
from flopbook.measure.distributed import run_ranks

TRAIN = """
import os
import torch
from torch import nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor.parallel import ColwiseParallel, RowwiseParallel, parallelize_module
from torch.nn.parallel import DistributedDataParallel

rank = int(os.environ["RANK"])
perceptron = nn.Sequential(nn.Linear(64, 256, bias=False), nn.GELU(), nn.Linear(256, 64, bias=False))
x = torch.ones(8, 64)
made = []

def split():
    if not made:
        plan = {"0": ColwiseParallel(), "2": RowwiseParallel()}
        made.append(parallelize_module(perceptron, init_device_mesh("cpu", (2,)), plan))
    made[0](x).square().mean().backward()

def uneven():
    if not made:
        made.append(DistributedDataParallel(perceptron))
    made[0](x[: 8 - 2 * rank]).square().mean().backward()

def broken():
    if rank == 1:
        raise ValueError("no batch")
    split()
"""

#: torchrun, whose ranks are forked from it and so do not import PyTorch each for itself.
FORKING = """
import runpy, sys
import torch.distributed.tensor.parallel
from torch.distributed import run
import flopbook.measure.report

def module(unbuffered, as_module, name, *arguments):
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)

launch = run.elastic_launch
run.elastic_launch = lambda config, entrypoint: launch(config, module)
run.main(["--start-method", "fork", *sys.argv[1:]])
"""
#: On macOS a fork is not safe, and there torchrun starts each rank anew.
TORCHRUN = ["-c", FORKING] if sys.platform == "linux" else ["-m", "torch.distributed.run"]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "train.py").write_text(TRAIN, encoding="utf-8")
    return tmp_path


def under_torchrun(folder, *arguments):
    two_ranks = [sys.executable, "-W", "ignore", *TORCHRUN, "--standalone", "--nproc-per-node", "2"]
    return subprocess.run(
        [*two_ranks, "-m", "flopbook", "count", *arguments],
        cwd=folder, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_two_ranks_print_one_report_and_one_table(folder):
    said = under_torchrun(folder, "train:split", "--device", "H100 SXM")
    assert said.returncode == 0, said.stderr
    assert said.stdout.startswith("Training step of Sequential, 8 samples")
    assert said.stdout.count("Training step") == said.stdout.count("FLOPs of rank") == 1
    rows = [line.split()[:4] for line in said.stdout.splitlines()]
    assert ["0", "262,144", "393,216", "655,360"] in rows and ["1", "262,144", "393,216", "655,360"] in rows
    assert ["all-reduce", "forward", "Sequential", "2", "1", "2,048", "2,048"] in [
        line.split() for line in said.stdout.splitlines()
    ]


def test_a_mistake_on_one_rank_is_one_sentence_and_ends_all(folder):
    said = under_torchrun(folder, "train:broken")
    line = TRAIN.splitlines().index('        raise ValueError("no batch")') + 1
    ours = [each for each in said.stderr.splitlines() if each.startswith("flopbook:")]
    assert ours == [f"flopbook: rank 1 of 2: train:broken raised ValueError: no batch (train.py, line {line})"]
    assert said.stdout == "" and said.returncode != 0
    assert "exitcode  : 2" in said.stderr


def _commanded(folder, *arguments):
    """Run the command on a rank whose group stands already, as where the reader's module makes it."""
    rank = str(distributed.get_rank())
    os.environ.update(RANK=rank, LOCAL_RANK=rank, WORLD_SIZE="2", MASTER_ADDR="127.0.0.1", MASTER_PORT="1")
    os.chdir(folder)
    machine._PATIENCE = report._SECONDS = 0  # no test depends on times
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        code = main(["count", *arguments])
    ended = not distributed.is_initialized()
    if ended:  # for the barrier behind each function of run_ranks
        distributed.init_process_group("gloo", init_method=f"file://{folder}/again", rank=int(rank), world_size=2)
    return code, out.getvalue(), err.getvalue(), ended


def test_json_has_the_ranks_and_the_readers_group_is_ended_too(folder):
    first, second = run_ranks(_commanded, folder, "train:uneven", "--json", "--trace", "step.json")
    assert (first[0], second[0], first[2], second[2]) == (0, 0, "", "") and first[3] and second[3]
    assert second[1] == ""
    said = json.loads(first[1])
    assert said["schema"].startswith("flopbook.report/") and said["ranks"]["schema"] == "flopbook.ranks/1"
    assert [rank["flops"]["forward"] for rank in said["ranks"]["ranks"]] == [4 * 64 * 256 * 8, 4 * 64 * 256 * 6]
    assert said["ranks"]["imbalance"]["all"] == 8 / 7
    assert json.loads((folder / "step.json").read_text("utf-8"))["traceEvents"]


def test_a_mistake_names_its_rank_where_no_store_can_be_asked(folder):
    found = run_ranks(_commanded, folder, "trian:step")
    assert [(code, out) for code, out, *_ in found] == [(2, "")] * 2
    for rank, (_, _, err, _) in enumerate(found):
        assert err.startswith(f"flopbook: rank {rank} of 2: there is no module 'trian' in ") and err.count("\n") == 1
