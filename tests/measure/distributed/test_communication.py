"""Test what each collective is said to carry, on three ranks that really exchange it."""

import pytest
import torch
from torch import distributed
from torch.distributed import _functional_collectives as functional

from flopbook.collectives import COLLECTIVES
from flopbook.counts.communication import Sent
from flopbook.measure import FlopCount
from flopbook.measure.distributed import fake_ranks, run_ranks
from flopbook.measure.operators.movement import moves
from flopbook.measure.operators.registry import COMMUNICATION

RANKS = 3
ROOT = 1
#: Numbers that each rank sends to each rank in an uneven exchange, by row; 4 bytes each.
UNEVEN = [[1, 2, 3], [4, 0, 5], [7, 6, 2]]


def whole(*shape):
    return torch.ones(shape)


def shares(tensor):
    return list(tensor.chunk(RANKS))


def of_root(value):
    return value if distributed.get_rank() == ROOT else None


def uneven_sizes():
    row = UNEVEN[distributed.get_rank()]
    column = [row[distributed.get_rank()] for row in UNEVEN]
    return row, column


def in_one_tensor():
    row, column = uneven_sizes()
    distributed.all_to_all_single(whole(sum(column), 2), whole(sum(row), 2), column, row)


def functional_in_one_tensor():
    row, column = uneven_sizes()
    functional.all_to_all_single(whole(sum(row), 2), column, row, distributed.group.WORLD).sum()


def around():
    rank = distributed.get_rank()
    if rank == 0:
        distributed.send(whole(7), 1)
    if rank == 1:
        distributed.recv(whole(7), 0)


def sent_by(*bytes_of_ranks):
    return bytes_of_ranks


#: What runs, and what it carries: the collective, its payload and what each rank sends in a ring, in bytes.
CASES = {
    "all_reduce": (lambda: distributed.all_reduce(whole(6, 5)), "all-reduce", 120, 160),
    "all_reduce, padded": (lambda: distributed.all_reduce(whole(7)), "all-reduce", 28, 38),  # 2 * 2/3 * 28 = 37.3
    "functional all_reduce": (
        lambda: functional.all_reduce(whole(6, 5), "sum", distributed.group.WORLD).sum(), "all-reduce", 120, 160,
    ),
    "all_gather": (lambda: distributed.all_gather(shares(whole(9)), whole(3)), "all-gather", 36, 24),
    "all_gather_into_tensor": (
        lambda: distributed.all_gather_into_tensor(whole(9), whole(3)), "all-gather", 36, 24,
    ),
    "functional all_gather": (
        lambda: functional.all_gather_tensor(whole(3), 0, distributed.group.WORLD).sum(), "all-gather", 36, 24,
    ),
    "reduce_scatter": (
        lambda: distributed.reduce_scatter(whole(3), shares(whole(9))), "reduce-scatter", 36, 24,
    ),
    "reduce_scatter_tensor": (
        lambda: distributed.reduce_scatter_tensor(whole(3), whole(9)), "reduce-scatter", 36, 24,
    ),
    "functional reduce_scatter": (
        lambda: functional.reduce_scatter_tensor(whole(9), "sum", 0, distributed.group.WORLD).sum(),
        "reduce-scatter", 36, 24,
    ),
    "all_to_all of a list": (
        lambda: distributed.all_to_all(shares(whole(6)), shares(whole(6))), "all-to-all", 24, 16,
    ),
    "all_to_all_single": (in_one_tensor, "all-to-all", sent_by(48, 72, 120), sent_by(40, 72, 104)),
    "functional all_to_all": (functional_in_one_tensor, "all-to-all", sent_by(48, 72, 120), sent_by(40, 72, 104)),
    "even all_to_all_single": (
        lambda: distributed.all_to_all_single(whole(9), whole(9)), "all-to-all", 36, 24,
    ),
    "broadcast": (lambda: distributed.broadcast(whole(5), ROOT), "broadcast", 20, 20),
    "reduce": (lambda: distributed.reduce(whole(5), ROOT), "reduce", 20, 20),
    "gather": (
        lambda: distributed.gather(whole(5), of_root(shares(whole(15))), ROOT), "gather", 60, sent_by(20, 0, 20),
    ),
    "scatter": (
        lambda: distributed.scatter(whole(5), of_root(shares(whole(15))), ROOT), "scatter", 60, sent_by(0, 40, 0),
    ),
}  # fmt: skip

#: Those that gloo runs.
RUN_BY_GLOO = [name for name in CASES if name != "all_to_all of a list" or torch.__version__ >= (2, 13)]


def _all_cases():
    counts = {}
    for name in RUN_BY_GLOO:
        run, *_ = CASES[name]
        with FlopCount() as counted:
            run()
        counts[name] = counted.by_collective, counted.uncounted, counted.total
    with FlopCount() as counted:
        around()
        distributed.barrier()
    return counts, counted.by_collective


@pytest.fixture(scope="module")
def counted():
    return run_ranks(_all_cases, ranks=RANKS)


@pytest.mark.parametrize("name", RUN_BY_GLOO)
def test_a_collective_carries_its_payload(counted, name):
    _, collective, payload, ring = CASES[name]
    for rank in range(RANKS):
        expected = [each[rank] if isinstance(each, tuple) else each for each in (payload, ring)]
        assert counted[rank][0][name] == ({collective: Sent(1, *expected)}, {}, 0)


@pytest.mark.filterwarnings("ignore:.*is deprecated:FutureWarning")  # newer releases have other names, too
@pytest.mark.parametrize("rank", range(RANKS))
@pytest.mark.parametrize("name", CASES)
def test_a_fake_rank_carries_as_much(name, rank):
    run, collective, payload, ring = CASES[name]
    with fake_ranks(RANKS, rank), FlopCount() as counted:
        run()
    expected = [each[rank] if isinstance(each, tuple) else each for each in (payload, ring)]
    assert counted.by_collective == {collective: Sent(1, *expected)}


def test_one_rank_sends_what_another_receives_and_a_barrier_carries_nothing(counted):
    assert [carried for _, carried in counted] == [{"send": Sent(1, 28, 28)}, {"receive": Sent(1, 28, 0)}, {}]


def test_every_collective_has_a_rule():
    groups = {"c10d", "_c10d_functional"}
    named = {name.partition(".")[0] for name in torch._C._dispatch_get_all_op_names()}
    waits = {
        "c10d::barrier", "c10d::check_for_nan", "c10d::monitored_barrier_", "_c10d_functional::wait_tensor",
        "_c10d_functional::_wrap_tensor_autograd",
    }  # fmt: skip
    here = {name for name in named if name.partition("::")[0] in groups}
    assert here - waits - COMMUNICATION.keys() == set()
    for space, _, operator in (name.partition("::") for name in waits & here):
        assert moves(getattr(getattr(torch.ops, space), operator).default)


GROUP, ONE, THREE = "group", torch.ones(5), torch.ones(3, 5)  # 20 and 60 bytes
#: Calls of operators that other releases of PyTorch lack or seldom make, and what each carries on the first of 3 ranks.
CALLS = {
    "c10d::allreduce_coalesced_": (None, [ONE, THREE], GROUP, None, ("all-reduce", 80, 107)),
    "_c10d_functional::all_reduce_": (ONE, ONE, "sum", GROUP, ("all-reduce", 20, 27)),
    "_c10d_functional::all_reduce_coalesced": ([ONE, THREE], [ONE, THREE], "sum", GROUP, ("all-reduce", 80, 107)),
    "_c10d_functional::all_reduce_coalesced_": ([ONE, THREE], [ONE, THREE], "sum", GROUP, ("all-reduce", 80, 107)),
    "c10d::allgather_coalesced_": (None, [[ONE], [ONE], [ONE]], [ONE], GROUP, ("all-gather", 60, 40)),
    "c10d::allgather_into_tensor_coalesced_": (None, [THREE, THREE], [ONE, ONE], GROUP, ("all-gather", 120, 80)),
    "_c10d_functional::all_gather_into_tensor_coalesced": (
        [THREE, THREE], [ONE, ONE], RANKS, GROUP, ("all-gather", 120, 80),
    ),
    "_c10d_functional::all_gather_into_tensor_out": (THREE, ONE, RANKS, GROUP, ("all-gather", 60, 40)),
    "c10d::reduce_scatter_tensor_coalesced_": (None, [ONE], [THREE], GROUP, None, ("reduce-scatter", 60, 40)),
    "_c10d_functional::reduce_scatter_tensor_coalesced": (
        [ONE], [THREE], "sum", RANKS, GROUP, ("reduce-scatter", 60, 40),
    ),
    "_c10d_functional::reduce_scatter_tensor_out": (ONE, THREE, "sum", RANKS, GROUP, ("reduce-scatter", 60, 40)),
    "_dtensor::shard_dim_alltoall": (THREE, THREE, 0, 1, GROUP, ("all-to-all", 60, 40)),
    "_c10d_functional::all_to_all_single": (
        torch.ones(0, 5), torch.ones(0, 5), [0, 0, 0], [0, 0, 0], GROUP, ("all-to-all", 0, 0),
    ),
    "_c10d_functional::broadcast": (ONE, ONE, ROOT, GROUP, ("broadcast", 20, 20)),
    "_c10d_functional::broadcast_": (ONE, ONE, ROOT, GROUP, ("broadcast", 20, 20)),
    "c10d::gather_into_tensor_": (None, THREE, ONE, GROUP, ROOT, ("gather", 60, 20)),
    "c10d::send": (None, [ONE], GROUP, 1, 0, ("send", 20, 20)),
    "c10d::recv_": (None, [ONE], GROUP, 0, 0, ("receive", 20, 0)),
    "c10d::recv_any_source_": (None, [ONE], GROUP, 0, ("receive", 20, 0)),
    "_c10d_functional::isend": (ONE, ONE, 1, 0, GROUP, ("send", 20, 20)),
    "_c10d_functional::irecv": (ONE, ONE, 1, 0, GROUP, ("receive", 20, 0)),
    "_c10d_functional::batch_p2p_ops": (
        None, ["isend", "irecv"], [1, 1], [0, 0], [ONE, THREE], GROUP, ("send", 20, 20), ("receive", 60, 0),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CALLS)
def test_what_another_release_calls_carries_as_much(name):
    expected = [each for each in CALLS[name] if isinstance(each, tuple)]
    arguments = CALLS[name][: -len(expected)]
    with fake_ranks(RANKS):
        group = distributed.group.WORLD
        found = COMMUNICATION[name](*(group if each is GROUP else each for each in arguments))
    assert found == [(collective, payload, RANKS, ring) for collective, payload, ring in expected]


def test_the_names_of_collectives_are_those_of_the_cases():
    assert {collective for _, collective, *_ in CASES.values()} | {"send", "receive"} == COLLECTIVES.keys()
