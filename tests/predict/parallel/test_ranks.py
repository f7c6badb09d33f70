"""Test what one rank of a mesh computes, keeps and sends: by hand, by sums over all ranks, and by other modules."""

from dataclasses import replace

import pytest

from flopbook.predict import evaluate
from flopbook.predict.memory import FLOAT32, Formats
from flopbook.predict.models import PUBLISHED, decoder
from flopbook.predict.parallel import carried
from flopbook.predict.parallel.pipelines import in_flight
from flopbook.predict.parallel.ranks import Mesh, Training, rank_of_mesh
from flopbook.predict.parallel.schedules import interleaved, one_forward_one_backward

SMALL = dict(B=12, T=40, L=6, D=30, H=12, G=4, E=7, F=44, V=52, matrices=3, tables=2)
WITH_EXPERTS = SMALL | dict(X=8, K=2)
LLAMA = PUBLISHED["Llama 3 405B"] | dict(B=2048)
MESHES = [
    Mesh(), Mesh(data=3), Mesh(tensor=4), Mesh(pipeline=4), Mesh(context=5), Mesh(2, 2, 5, 3), Mesh(3, 4, 2, 6),
    Mesh(pipeline=5),
]  # fmt: skip


def calls(one, *axes):
    return carried(transfer for axis in axes for transfer in one.transfers.get(axis, ()))


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_all_ranks_together_compute_what_one_device_computes(mesh):
    ranks = [rank_of_mesh(SMALL, mesh, stage=stage) for stage in range(mesh.pipeline)]
    copies = mesh.devices // mesh.pipeline
    whole = decoder()
    assert copies * sum(one.forward for one in ranks) == evaluate(whole.forward, SMALL)
    assert copies * sum(one.backward for one in ranks) == evaluate(whole.backward, SMALL)
    assert sum(one.layers for one in ranks) == SMALL["L"]
    assert max(one.layers for one in ranks) - min(one.layers for one in ranks) <= 1


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_a_causal_token_looks_at_half_of_the_tokens_and_half_a_token_more(mesh):
    causal, full = (
        [rank_of_mesh(SMALL, mesh, Training(causal=causal), stage) for stage in range(mesh.pipeline)]
        for causal in (True, False)
    )
    copies = mesh.devices // mesh.pipeline
    hidden = 40 * 40 - 40 * 41 // 2  # pairs of a token and a later one
    products = 2 * 2 * 12 * 6 * 12 * 7 * hidden  # of 12 sequences, in 6 blocks of 12 heads
    assert copies * sum(one.forward - other.forward for one, other in zip(full, causal, strict=True)) == products
    assert copies * sum(one.backward - other.backward for one, other in zip(full, causal, strict=True)) == 2 * products


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_parameters_lie_on_tensor_ranks_and_stages_but_for_norms(mesh):
    norms = SMALL["D"] * (2 * SMALL["L"] + 1)
    held = sum(rank_of_mesh(SMALL, mesh, stage=stage).parameters for stage in range(mesh.pipeline))
    assert mesh.tensor * (held - norms) + norms == evaluate(decoder().parameters, SMALL)


def test_the_stages_of_llama_have_one_block_less_at_both_ends():
    layers = [rank_of_mesh(LLAMA, Mesh(128, 8, 1, 16), stage=stage).layers for stage in range(16)]
    assert layers == [7, *[8] * 14, 7]


def test_bytes_by_hand_on_two_ranks_of_a_tensor():
    small = dict(B=1, T=4, L=1, D=2, H=2, G=2, E=1, F=4, V=6, matrices=2, tables=2)
    one = rank_of_mesh(small, Mesh(tensor=2), Training(formats=FLOAT32, sequence=False))
    weights = 4 * 2 * 1 + 2 * 2 * 2 + 2 + 2 + 2 + 2 * (3 * 2)  # four of attention, two of the rest, norms, two tables
    assert one.parameters == weights
    assert one.held[:3] == (4 * weights, 4 * weights, 8 * weights)
    of_norms = 3 * (2 * 4 * 2 + 2 * 4)  # what goes in and comes out, and two numbers a token
    split = 4 * 4 * 1 + 4 * 1 + 2 * 4 * 2  # q, k, v, o; a number a row of scores; f and h
    loss = 4 * 3 + 1
    assert one.held.activations == 4 * (of_norms + split + loss)


def test_in_sequence_parallelism_ranks_share_what_norms_read_and_keep_what_they_give():
    alone, shared = (
        rank_of_mesh(SMALL, Mesh(tensor=4), Training(formats=FLOAT32, micro=12, sequence=sequence)).held.activations
        for sequence in (False, True)
    )
    read = 12 * 40 * (30 + 2) * (2 * 6 + 1)
    assert alone - shared == 4 * read * 3 // 4


@pytest.mark.parametrize("zero", range(4))
def test_zero_shards_as_much_as_its_stage_says(zero):
    one = rank_of_mesh(SMALL, Mesh(data=3, context=2), Training(zero=zero, micro=2))
    whole = one.parameters
    of_ranks = [1 if zero < level else 6 for level in (3, 2, 1)]
    for held, each, ranks in zip(one.held, (2, 2, 12), of_ranks, strict=False):
        assert whole * each <= held * ranks < whole * each + 6 * 8  # each unit is padded by itself


@pytest.mark.parametrize(
    ("zero", "summed", "gathered"),
    [
        (0, {("all-reduce", "backward"): (6, 1)}, {}),
        (1, {("reduce-scatter", "backward"): (6, 1)}, {("all-gather", "optimizer"): (6, 1)}),
        (2, {("reduce-scatter", "backward"): (6 * 4, 4)}, {("all-gather", "optimizer"): (6, 1)}),
        (
            3,
            {("reduce-scatter", "backward"): (6 * 4, 4)},
            {("all-gather", "forward"): (6 * 4, 4), ("all-gather", "backward"): (6 * 4, 0)},
        ),
    ],
)
def test_each_stage_of_zero_sums_and_gathers_once_or_with_each_of_four_micro_batches(zero, summed, gathered):
    one = rank_of_mesh(SMALL, Mesh(data=3), Training(zero=zero, formats=Formats(4, 2, 4, 4)))
    rest = 2 * 52 * 30 + 30  # both tables and the last norm, which are no part of a block
    of_block = (one.parameters - rest) // 6
    expected = [
        (*kind, numbers * bytes_, times)
        for bytes_, calls in ((2, summed), (4, gathered)) for kind, both in calls.items()
        for numbers, times in zip((of_block, rest), both, strict=True) if times
    ]  # fmt: skip
    called = [(each.collective, each.phase, each.payload, each.calls) for each in one.transfers["data"]]
    assert sorted(called) == sorted(expected)


def test_tensor_ranks_send_the_same_bytes_in_sequence_and_with_all_of_it():
    plain, in_sequence = (
        rank_of_mesh(SMALL, Mesh(tensor=4, pipeline=3), Training(sequence=sequence), stage=1)
        for sequence in (False, True)
    )
    tokens = 2 * 40 * 30  # of one sequence, in 16 bits
    assert calls(plain, "tensor") == {
        ("all-reduce", phase): (2 * 2 * 12, 48 * tokens, 48 * tokens * 3 // 2) for phase in ("forward", "backward")
    }
    norms = 2 * 2 * 12 * 60 * 3 // 2
    sent = [sum(ring for *_, ring in calls(one, "tensor").values()) for one in (plain, in_sequence)]
    assert sent[1] - sent[0] == norms


@pytest.mark.parametrize("checkpoints", ["none", "selective", "full"])
@pytest.mark.parametrize("stage", range(3))
def test_tensor_ranks_call_as_often_as_blocks_and_ends_have_split_products(stage, checkpoints):
    plain, in_sequence = (
        rank_of_mesh(SMALL, Mesh(tensor=4, pipeline=3), Training(sequence=sequence, checkpoints=checkpoints), stage)
        for sequence in (False, True)
    )
    table, head = stage == 0, stage == 2
    loss = [("all-reduce", "forward", 4 * 40, 3)] * head  # a largest logit, a sum and a right logit for each token
    again, gathered = 4 * (checkpoints == "full"), 4 * (checkpoints != "none")
    tokens = 2 * 40 * 30
    for one, expected in (
        (plain, [
            ("all-reduce", "forward", tokens, 4 + table), ("all-reduce", "backward", tokens, 4 + head),
            ("all-reduce", "recomputed", tokens, again), *loss,
        ]),
        (in_sequence, [
            ("all-gather", "forward", tokens, 4 + head), ("all-gather", "backward", tokens, 4 + table),
            ("all-gather", "recomputed", tokens, gathered), ("reduce-scatter", "forward", tokens, 4 + table),
            ("reduce-scatter", "backward", tokens, 4 + head), ("reduce-scatter", "recomputed", tokens, again),
            ("all-reduce", "backward", 2 * 30, 4 + head), *loss,
        ]),
    ):  # fmt: skip
        called = [(each.collective, each.phase, each.payload, each.calls) for each in one.transfers["tensor"]]
        assert sorted(called) == sorted((*what, 12 * calls) for *what, calls in expected if calls)


@pytest.mark.parametrize("layers", [1, 2, 6])
@pytest.mark.parametrize("tensor", [1, 4])
def test_full_checkpoints_keep_what_goes_into_each_block_and_all_of_one(layers, tensor):
    one, full = (
        rank_of_mesh(SMALL | dict(L=blocks), Mesh(tensor=tensor), Training(checkpoints=kind)).held.activations
        for kind, blocks in (("none", 1), ("full", layers))
    )
    assert full - one == 2 * layers * 40 * 30 // tensor


@pytest.mark.parametrize("layers", [1, 2, 6])
@pytest.mark.parametrize("tensor", [1, 4])
def test_selective_checkpoints_keep_what_products_give_besides(layers, tensor):
    one, selective = (
        rank_of_mesh(SMALL | dict(L=blocks), Mesh(tensor=tensor), Training(checkpoints=kind)).held.activations
        for kind, blocks in (("none", 1), ("selective", layers))
    )
    split = 40 * (2 * 12 * 7 + 2 * 4 * 7 + 12 + 2 * 44)  # queries and outputs, keys and values, row numbers, hidden
    assert selective - one == 2 * layers * (split + 3 * 40 * 30) // tensor  # what goes in, and what both parts give


@pytest.mark.parametrize("mesh", MESHES, ids=str)
def test_attention_is_the_part_that_grows_with_the_square_of_the_tokens(mesh):
    ranks = [rank_of_mesh(SMALL, mesh, stage=stage) for stage in range(mesh.pipeline)]
    assert mesh.devices // mesh.pipeline * sum(each.attention for each in ranks) == 2 * 2 * 12 * 6 * 12 * 7 * 40 * 40


def test_each_expert_lies_on_one_rank_and_tokens_go_there_and_back():
    one = rank_of_mesh(WITH_EXPERTS, Mesh(data=3, expert=4), Training(zero=3))
    alone = rank_of_mesh(WITH_EXPERTS, Mesh(data=3, expert=1), Training(zero=3))
    experts = 6 * 3 * 30 * 44 * 8
    assert alone.parameters - one.parameters == experts * 3 // 4
    rows = 2 * 40 * 30 * 2
    assert calls(one, "expert") == {
        ("all-to-all", phase): (2 * 6, 12 * rows, 12 * rows * 3 // 4) for phase in ("forward", "backward")
    }
    gathered = {
        (t.ranks, t.payload) for t in one.transfers["data"] if (t.collective, t.phase) == ("all-gather", "backward")
    }
    attention, router = 2 * 30 * 7 * (12 + 4), 30 * 8
    assert gathered == {(12, 2 * (attention + router + 60)), (3, 2 * 3 * 30 * 44 * 2)}


@pytest.mark.parametrize("ranks", [2, 5])
def test_a_ring_hands_keys_and_values_on_and_their_gradients_back(ranks):
    one = rank_of_mesh(SMALL, Mesh(context=ranks, tensor=2))
    keys = 2 * 40 // ranks * 2 * 7  # 2 of 4 heads
    times = 12 * 6 * (ranks - 1)
    assert calls(one, "context") == {
        (collective, phase): (times * tensors, times * tensors * keys, times * tensors * keys * sends)
        for phase, tensors in (("forward", 2), ("backward", 4)) for collective, sends in (("send", 1), ("receive", 0))
    }  # fmt: skip


def test_full_checkpoints_hand_keys_and_values_around_again():
    one = rank_of_mesh(SMALL, Mesh(context=5), Training(checkpoints="full"))
    around = calls(one, "context")
    for collective in ("send", "receive"):
        assert around[collective, "recomputed"] == around[collective, "forward"]


@pytest.mark.parametrize(("pipeline", "chunks"), [(1, 1), (3, 1), (6, 1), (3, 2), (2, 3)])
def test_stages_keep_and_send_what_their_schedule_says(pipeline, chunks):
    mesh, training = Mesh(pipeline=pipeline), Training(chunks=chunks, micro=2)
    schedule = interleaved(pipeline, 6, chunks) if chunks > 1 else one_forward_one_backward(pipeline, 6)
    for stage in range(pipeline):
        one = rank_of_mesh(SMALL, mesh, replace(training, sequence=False), stage)
        assert one.in_flight == schedule.in_flight(stage) == in_flight(pipeline, 6, stage, chunks)
        assert calls(one, "pipeline") == carried(schedule.transfers(stage, 2 * 2 * 40 * 30))


def test_checkpoints_keep_less_and_run_more():
    none, selective, full = (
        rank_of_mesh(LLAMA, Mesh(128, 8, 1, 16), Training(checkpoints=kind)) for kind in ("none", "selective", "full")
    )
    assert none.held.activations > selective.held.activations > full.held.activations
    assert [one.recomputed for one in (none, selective)] == [0, 0]
    assert full.recomputed == full.forward
    again = [{key[0] for key in calls(one, "tensor") if key[1] == "recomputed"} for one in (none, selective, full)]
    assert again == [set(), {"all-gather"}, {"all-gather", "reduce-scatter"}]
    assert none.held[:3] == selective.held[:3] == full.held[:3]


def test_two_ends_that_share_a_table_both_hold_it():
    tied = SMALL | dict(tables=1)
    first, _, last = (rank_of_mesh(tied, Mesh(pipeline=3), stage=stage) for stage in range(3))
    alone = rank_of_mesh(tied, Mesh())
    assert first.parameters + last.parameters - (alone.parameters * 2 // 3) > 0
    table = 2 * 52 * 30  # in 16 bits
    for one in (first, last):
        assert calls(one, "pipeline")["all-reduce", "backward"] == (1, table, table)
    assert alone.parameters == evaluate(decoder().parameters, tied)


@pytest.mark.parametrize(
    ("mesh", "training", "said"),
    [
        (Mesh(tensor=8), Training(), "tensor=8 does not divide H=12: write tensor that divides 12"),
        (Mesh(context=3), Training(), "context=3 does not divide T=40"),
        (Mesh(data=5), Training(), r"data \* expert \* micro=5 does not divide B=12"),
        (Mesh(pipeline=9), Training(), "L=6 blocks are too few for pipeline=9 stages of 1 chunks"),
        (Mesh(expert=2), Training(), "expert=2 needs experts: the decoder has no X"),
        (Mesh(data=2), Training(micro=4), "does not divide B=12"),
    ],
    ids=str,
)
def test_a_mesh_that_does_not_divide_a_size_says_which(mesh, training, said):
    with pytest.raises(ValueError, match=said):
        rank_of_mesh(SMALL, mesh, training)


def test_experts_that_their_ranks_cannot_share_are_refused():
    with pytest.raises(ValueError, match="expert=3 does not divide X=8: write expert that divides 8"):
        rank_of_mesh(WITH_EXPERTS, Mesh(expert=3))


@pytest.mark.parametrize("letter", WITH_EXPERTS)
def test_a_decoder_needs_each_of_its_sizes(letter):
    sizes = {name: size for name, size in WITH_EXPERTS.items() if name != letter}
    if letter == "X":  # without experts
        assert rank_of_mesh(sizes, Mesh()) == rank_of_mesh(SMALL, Mesh())
    else:
        with pytest.raises(ValueError, match=rf"the sizes lack {letter}: write sizes \| dict\({letter}=\.\.\.\)"):
            rank_of_mesh(sizes, Mesh())


@pytest.mark.parametrize("ranks", [2, 4])
def test_all_ranks_of_experts_exchange_tokens(ranks):
    one = rank_of_mesh(WITH_EXPERTS, Mesh(expert=ranks))
    assert {(each.collective, each.ranks) for each in one.transfers["expert"]} == {("all-to-all", ranks)}


def test_a_mesh_names_the_axes_that_have_several_ranks():
    assert str(Mesh()) == "one device"
    assert str(Mesh(data=2, context=3)) == "data 2, context 3"


def test_only_in_sequence_parallelism_tensor_ranks_divide_the_tokens():
    with pytest.raises(ValueError, match=r"context \* tensor=4 does not divide T=42"):
        rank_of_mesh(SMALL | dict(T=42), Mesh(tensor=4))
    assert rank_of_mesh(SMALL | dict(T=42), Mesh(tensor=4), Training(sequence=False)).layers == 6


def test_a_token_may_meet_every_expert():
    few, all_ = (rank_of_mesh(WITH_EXPERTS | dict(K=K), Mesh()) for K in (7, 8))
    each = 6 * 2 * 3 * 30 * 44 * 12 * 40  # three products of an expert in each of six blocks
    assert all_.forward - few.forward == each


@pytest.mark.parametrize("chunks", [1, 2])
def test_stages_have_at_least_a_block_or_an_end_for_each_chunk(chunks):
    with pytest.raises(ValueError, match=f"L=6 blocks are too few for pipeline=12 stages of {chunks} chunks"):
        rank_of_mesh(SMALL, Mesh(pipeline=12), Training(chunks=chunks))
    assert rank_of_mesh(SMALL, Mesh(pipeline=4), Training(chunks=2)).layers == 1
    with pytest.raises(ValueError, match="L=6 blocks are too few for pipeline=3 stages of 3 chunks"):
        rank_of_mesh(SMALL, Mesh(pipeline=3), Training(chunks=3))


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        (SMALL | dict(G=5), "G=5 does not divide H=12: write G that divides 12"),
        (WITH_EXPERTS | dict(K=9), "K=9 is more than X=8: write K of at most 8"),
        (SMALL | dict(matrices=4), "matrices=4 .*: write 3 with a gate, or 2"),
        (SMALL | dict(matrices=1), "matrices=1 .*: write 3 with a gate, or 2"),
        (SMALL | dict(tables=3), "tables=3 .*: write 1 .* or 2"),
    ],
)
def test_sizes_that_no_decoder_has_are_refused(sizes, said):
    with pytest.raises(ValueError, match=said):
        rank_of_mesh(sizes, Mesh())


@pytest.mark.parametrize(
    ("training", "said"),
    [
        (Training(micro=6, chunks=2), "micro_batches=2 in 2 chunks on 4 ranks leave a gap: give a multiple of 4"),
    ],
)
def test_micro_batches_that_stages_cannot_take_in_turn_are_refused(training, said):
    with pytest.raises(ValueError, match=said):
        rank_of_mesh(SMALL, Mesh(pipeline=4), training)


def test_training_that_is_empty_is_not_the_default():
    with pytest.raises(TypeError, match=r"training=\{\} does not say how to train"):
        rank_of_mesh(SMALL, Mesh(), {})


@pytest.mark.parametrize(
    "make",
    [
        lambda: Mesh(data=0), lambda: Mesh(tensor=2.5), lambda: Training(zero=4), lambda: Training(checkpoints="some"),
        lambda: Training(sequence=1), lambda: Training(loss=0), lambda: Training(micro=0), lambda: Training(chunks=0),
        lambda: Training(causal=0), lambda: Training(zero=True), lambda: Training(formats=2),
        lambda: Training(optimizer="adam"),
        lambda: rank_of_mesh(SMALL, "8"), lambda: rank_of_mesh(SMALL, Mesh(), 3), lambda: rank_of_mesh({}, Mesh()),
        lambda: rank_of_mesh(SMALL, Mesh(), stage=1), lambda: rank_of_mesh(SMALL | dict(X=4), Mesh()),
    ],
)  # fmt: skip
def test_what_cannot_be_used_is_quoted(make):
    with pytest.raises((TypeError, ValueError), match=r"[:;]"):
        make()
