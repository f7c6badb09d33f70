"""Test on paper what a rank keeps and sends; tests/agreement has the ranks that run."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flopbook.predict import N, axis
from flopbook.predict.memory import FLOAT32, Formats
from flopbook.predict.parallel import (
    Transfer,
    Unit,
    buckets,
    carried,
    data_parallel,
    flat_sharded,
    fully_sharded,
    whole_tensors,
    zero,
)  # fmt: skip

d, m = axis("d"), axis("m")
SHAPES = st.lists(st.lists(st.integers(1, 9), min_size=1, max_size=3).map(tuple), min_size=1, max_size=4)


def numbers(shapes):
    return data_parallel(shapes, 1).held.parameters / 4


@pytest.mark.parametrize(
    ("stage", "kept", "sent"),
    [
        (0, 16 * N, 4 * N * (d - 1) / d),
        (1, 4 * N + 12 * N / d, 4 * N * (d - 1) / d),
        (2, 2 * N + 14 * N / d, 4 * N * (d - 1) / d),
        (3, 16 * N / d, 6 * N * (d - 1) / d),
    ],
)
def test_the_stages_keep_and_send_what_the_paper_says(stage, kept, sent):
    rank = zero(stage, N, d)
    assert (sum(rank.held) - kept).expand() == 0
    assert (rank.sent - sent).expand() == 0
    assert sum(rank.held).subs(d, 1) == 16 * N
    assert rank.sent.subs(d, 1) == 0


@pytest.mark.parametrize(
    ("stage", "calls"),
    [
        (0, ["all-reduce"]),
        (1, ["reduce-scatter", "all-gather"]),
        (2, ["reduce-scatter", "all-gather"]),
        (3, ["all-gather", "all-gather", "reduce-scatter"]),
    ],
)
def test_a_stage_calls_what_the_paper_says(stage, calls):
    assert [transfer.collective for transfer in zero(stage, N, d).transfers] == calls


def test_from_the_second_stage_on_each_micro_batch_sends():
    for stage, times in enumerate([1, 1, (m + 1) / 2, m]):
        assert (zero(stage, N, d, micro_batches=m).sent - times * zero(stage, N, d).sent).expand() == 0


def test_replicas_of_groups_sum_the_shards_of_gradients():
    unit = Unit([(7, 5), (7,)])  # of 7 rows, each of 4 ranks gets 2
    one, two = (fully_sharded([unit], 4, formats=Formats(gradients=2), replicas=replicas) for replicas in (1, 2))
    assert two.transfers == (*one.transfers, Transfer("all-reduce", "backward", 2 * (2 * 5 + 2), 2))


@given(st.lists(SHAPES, min_size=1, max_size=4), st.integers(1, 9))
def test_the_shards_of_all_ranks_are_the_parameters(by_unit, ranks):
    units = [Unit(shapes) for shapes in by_unit]
    whole = sum(numbers(shapes) for shapes in by_unit)
    shares = [fully_sharded(units, ranks, rank) for rank in range(ranks)]
    assert sum(share.held.parameters for share in shares) == 4 * whole
    sums = [
        sent
        for (kind, phase), sent in carried(shares[0].transfers).items()
        if (kind, phase) == ("all-gather", "forward")
    ]
    assert sums[0][1] >= 4 * whole
    assert flat_sharded(units, ranks).held.parameters * ranks - 4 * whole < 4 * ranks * len(units)
    flat = [shape for shapes in by_unit for shape in shapes]
    states = (whole_tensors(flat, ranks, rank).held.optimizer for rank in range(ranks))
    assert sum(states) == 8 * whole + 4 * len(flat)


@given(st.lists(st.integers(1, 50), min_size=1), st.integers(1, 60), st.integers(1, 60))
def test_buckets_hold_all_and_none_stays_open_beyond_its_limit(sizes, limit, first):
    filled = buckets(sizes, limit, first)
    assert sum(filled) == sum(sizes)
    assert all(each < most + max(sizes) for each, most in zip(filled, [first, *len(filled) * [limit]], strict=False))
    assert all(each >= most for each, most in zip(filled[:-1], [first, *len(filled) * [limit]], strict=False))


def test_nine_rows_leave_the_last_of_four_ranks_nothing():
    kept = [fully_sharded([Unit([(9, 5)])], 4, rank).held.parameters for rank in range(4)]
    assert kept == [60, 60, 60, 0]


def test_the_first_rank_is_meant_unless_another_is_named():
    units, shapes = [Unit([(9, 5)])], [(9, 5), (2,)]
    assert fully_sharded(units, 7) == fully_sharded(units, 7, 0) != fully_sharded(units, 7, 6)
    assert whole_tensors(shapes, 3) == whole_tensors(shapes, 3, 0) != whole_tensors(shapes, 3, 1)


def test_formats_are_those_that_are_sent():
    rank = fully_sharded([Unit([(8, 3)])], 2, formats=Formats(4, 2, 4, 4), gathered=2, reduced=4)
    assert [transfer.payload for transfer in rank.transfers] == [48, 48, 96]
    kept = fully_sharded([Unit([(8, 3)], reshard=False)], 2, formats=FLOAT32)
    assert [transfer.payload for transfer in kept.transfers] == [96, 96]


@given(SHAPES, st.integers(2, 9), st.integers(1, 5))
def test_copies_sum_whole_buckets_with_each_micro_batch_or_once(shapes, ranks, passes):
    whole = 2 * numbers(shapes)
    for every, times in ((True, passes), (False, 1)):
        rank = data_parallel(
            shapes,
            ranks,
            formats=Formats(4, 2, 4, 4),
            bucket_bytes=10**9,
            micro_batches=passes,
            every_micro_batch=every,
        )
        assert rank.transfers == (Transfer("all-reduce", "backward", whole, ranks, times),)


def test_buckets_hold_25_mebibytes_and_the_first_one_unless_told():
    mebi = 2**20
    assert buckets([mebi] * 60) == [mebi, 25 * mebi, 25 * mebi, 9 * mebi]


@pytest.mark.parametrize("wrong", ["75", "", (), 7])
def test_a_shape_is_a_sequence_of_lengths(wrong):
    with pytest.raises(TypeError, match=r"is not a shape: write \(7, 5\) for a weight of 7 rows"):
        data_parallel([wrong], 2)


def test_a_flat_unit_is_sent_once_unless_there_are_micro_batches():
    assert [each.calls for each in flat_sharded([Unit([(7, 5)])], 3).transfers] == [1, 1, 1]


def test_each_micro_batch_sends_unless_told_otherwise():
    (sent,) = data_parallel([(7, 5)], 3, micro_batches=4).transfers
    assert sent.calls == 4
    assert [each.calls for each in fully_sharded([Unit([(7, 5)])], 3, micro_batches=4).transfers] == [4, 4, 4]


def test_a_limit_of_buckets_is_that_of_the_first_one_too():
    sent = data_parallel([(3,), (2,), (4,), (1,)], 2, bucket_bytes=12).transfers
    assert [transfer.payload for transfer in sent] == buckets([12, 8, 16, 4], 12, 12)


@given(st.lists(SHAPES, min_size=1, max_size=4), st.integers(2, 9), st.integers(1, 5))
def test_a_flat_unit_is_padded_once_and_sent_with_each_micro_batch(by_unit, ranks, passes):
    sent = flat_sharded([Unit(shapes) for shapes in by_unit], ranks, micro_batches=passes).transfers
    of_units = [4 * ranks * -(-numbers(shapes) // ranks) for shapes in by_unit]
    moves = ("all-gather", "forward"), ("all-gather", "backward"), ("reduce-scatter", "backward")
    assert sent == tuple(Transfer(*move, bytes_, ranks, passes) for bytes_ in of_units for move in moves)


@given(SHAPES, st.integers(1, 9))
def test_owners_send_each_parameter_to_all_others(shapes, ranks):
    updated = [
        sent
        for sent in whole_tensors(shapes, ranks, formats=Formats(2, 4, 4, 4)).transfers
        if sent.phase == "optimizer"
    ]
    assert updated == [Transfer("broadcast", "optimizer", 2 * numbers([shape]), ranks) for shape in shapes]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (lambda: zero(4, N, d), "stage=4 is not a stage of ZeRO"),
        (lambda: zero(1, N, 0), "ranks=0"),
        (lambda: zero(1, N, d, optimizer="Adan"), "Adan"),
        (lambda: data_parallel([(7,)], 0), "ranks=0 is not a size"),
        (lambda: flat_sharded([Unit([(7,)])], 0), "ranks=0 is not a size"),
        (lambda: flat_sharded([Unit([(7, 0)])], 3), "a length of a shape=0 is not a size"),
        (lambda: data_parallel([(7,)], 2, micro_batches=0, every_micro_batch=True), "micro_batches=0 is not a size"),
        (lambda: data_parallel([(7,)], 2, bucket_bytes=0), "bucket_bytes=0 is not a size"),
        (lambda: data_parallel([7], 2), "7 is not a shape"),
        (lambda: data_parallel([(7, 0)], 2), "0"),
        (lambda: fully_sharded([(7, 5)], 2), "is not a unit"),
        (lambda: fully_sharded([Unit([(7, 5)])], 2, 2), "rank=2 is not one of 2"),
        (lambda: fully_sharded(None, 4), r"units=None does not hold several: write units=\[Unit"),
        (lambda: flat_sharded(None, 4), r"units=None does not hold several: write units=\[Unit"),
        (lambda: fully_sharded([Unit(None)], 4), r"shapes=None does not hold several: write shapes=\["),
        (lambda: data_parallel(None, 2), r"shapes=None does not hold several: write shapes=\["),
        (lambda: buckets(None), r"sizes=None does not hold several: write sizes=\["),
        (lambda: buckets([-1, 2]), "bytes of a gradient=-1 is not a size: write a whole number of at least 1"),
        (lambda: buckets([1, 2], limit=0), "limit=0 is not a size"),
        (lambda: buckets([1, 2], first=None), "first=None is not a size"),
        (lambda: fully_sharded([Unit([(7, 5)], reshard="no")], 2), "reshard='no' is neither True nor False"),
    ],
)
def test_what_cannot_be_is_quoted(run, message):
    with pytest.raises((TypeError, ValueError), match=message):
        run()
