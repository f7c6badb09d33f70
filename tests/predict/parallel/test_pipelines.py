"""Test schedules of a pipeline: what follows from their order is what the formulas say."""

from fractions import Fraction

import pytest

from flopbook.predict import D, H, K, evaluate, matmul, training_step
from flopbook.predict.axes import B, axis
from flopbook.predict.models import attention_part, decoder_block, embedding, feed_forward_part, output_layer
from flopbook.predict.parallel import (
    Schedule,
    bubble,
    carried,
    gpipe,
    in_flight,
    interleaved,
    one_forward_one_backward,
    pipeline_stages,
    split_backward_bubble,
    stage_flops,
    zero_bubble,
)
from flopbook.predict.parallel.schedules import BACKWARD, FORWARD, SCHEDULES, Action

SIZES = [(ranks, micro_batches) for ranks in (1, 2, 3, 4, 7) for micro_batches in (1, 2, 3, 5, 8, 14)]


@pytest.mark.parametrize(("ranks", "micro_batches"), SIZES)
@pytest.mark.parametrize("times", [(1, 1, 1), (2, 3, 5), (Fraction(1, 3), 1, 0)])
def test_gpipe_and_1f1b_have_the_bubble_of_the_formula_whatever_the_times(ranks, micro_batches, times):
    for make in (gpipe, one_forward_one_backward):
        assert make(ranks, micro_batches).run(*times).bubble == bubble(ranks, micro_batches)


@pytest.mark.parametrize(("ranks", "chunks", "rounds"), [(2, 2, 1), (2, 3, 3), (3, 2, 2), (4, 3, 2), (5, 4, 3)])
def test_chunks_make_the_bubble_as_many_times_smaller_against_the_work(ranks, chunks, rounds):
    run = interleaved(ranks, rounds * ranks, chunks).run(2, 3, 1)
    assert run.bubble == bubble(ranks, rounds * ranks, chunks)
    work = rounds * ranks * chunks * 6
    assert chunks * (run.length - work) == 6 * chunks * (ranks - 1)
    assert run.bubble < bubble(ranks, rounds * ranks)


@pytest.mark.parametrize(("ranks", "micro_batches"), [size for size in SIZES if size[0] <= size[1]])
@pytest.mark.parametrize("times", [(1, 1, 1), (3, 4, 2), (5, 7, 3), (2, 2, 1)])
def test_gradients_of_weights_fill_two_thirds_of_the_bubble(ranks, micro_batches, times):
    forward, of_input, of_weights = times
    run = zero_bubble(ranks, micro_batches).run(*times)
    assert run.length == micro_batches * sum(times) + (ranks - 1) * (forward + of_input - of_weights)
    if times == (1, 1, 1):
        assert run.bubble == split_backward_bubble(ranks, micro_batches)
        assert (run.bubble < bubble(ranks, micro_batches)) == (ranks > 1)


@pytest.mark.parametrize(("ranks", "micro_batches"), SIZES)
def test_what_is_in_flight_follows_from_the_order(ranks, micro_batches):
    for rank in range(ranks):
        assert gpipe(ranks, micro_batches).in_flight(rank) == micro_batches
        assert one_forward_one_backward(ranks, micro_batches).in_flight(rank) == in_flight(ranks, micro_batches, rank)
        assert zero_bubble(ranks, micro_batches).in_flight(rank) == min(ranks, micro_batches)
        if micro_batches % ranks == 0:
            schedule = interleaved(ranks, micro_batches, 3)
            assert schedule.in_flight(rank) == in_flight(ranks, micro_batches, rank, chunks=3)
    assert one_forward_one_backward(4, 8).in_flight(0) != gpipe(4, 8).in_flight(0)


def test_each_schedule_has_its_name():
    assert {
        "GPipe": gpipe, "1F1B": one_forward_one_backward, "interleaved 1F1B": interleaved, "zero bubble": zero_bubble,
    } == SCHEDULES  # fmt: skip


def test_the_first_rank_keeps_more_with_chunks_by_the_published_share():
    p, v = 4, 3
    kept = Fraction(int(in_flight(p, 24, 0, v)), v * p)
    assert kept == 1 + Fraction(p - 1, p * v)  # Korthikanti and others (2022), section 4.2.3


@pytest.mark.parametrize("heavy", [1, 2, 3, 7])
@pytest.mark.parametrize(("ranks", "micro_batches"), [(2, 3), (4, 4), (5, 2)])
def test_a_heavier_last_stage_makes_all_others_wait(ranks, micro_batches, heavy):
    times = [2] * (ranks - 1) + [2 * heavy]
    for make in (gpipe, one_forward_one_backward):
        run = make(ranks, micro_batches).run(times, times, times)
        assert run.length == 3 * (sum(times) + (micro_batches - 1) * max(times))
        assert (run.bubble == bubble(ranks, micro_batches)) == (heavy == 1)


def test_sending_takes_time_between_ranks_alone():
    assert gpipe(2, 1).run(sending=3).length == 2 * 3 + 2 * 3
    for ranks in (3, 4, 5):
        assert gpipe(ranks, 1).run(sending=3).length == ranks * 3 + 2 * (ranks - 1) * 3
    assert interleaved(1, 4, 2).run(sending=3).length == 4 * 2 * 3
    assert interleaved(2, 2, 2).run(sending=1).length > interleaved(2, 2, 2).run().length


def test_a_rank_sends_and_receives_at_each_boundary_of_its_stages():
    B, T, D = (axis(letter) for letter in "BTD")
    sizes = dict(B=2, T=5, D=7)
    payload = 2 * B * T * D
    ends = carried(gpipe(4, 6).transfers(3, payload), sizes)
    assert ends == {("receive", FORWARD): (6, 840, 0), ("send", BACKWARD): (6, 840, 840)}
    middle = carried(gpipe(4, 6).transfers(1, payload), sizes)
    assert len(middle) == 4
    assert {calls for calls, _, _ in middle.values()} == {6}
    with_chunks = carried(interleaved(2, 6, 3).transfers(0, payload), sizes)
    assert with_chunks["send", FORWARD][0] == 3 * 6
    assert with_chunks["send", BACKWARD][0] == 2 * 6
    assert gpipe(1, 6).transfers(0, payload) == interleaved(1, 6, 3).transfers(0, payload) == []


def test_the_halves_of_a_backward_pass_are_those_of_inputs_and_of_weights():
    products = matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    inner = stage_flops(training_step(*products), ["w1", "w2"])
    assert inner == (2 * B * D * H + 2 * B * H * K,) * 3
    first = stage_flops(training_step(*products, data="x"), ["w1", "w2"])
    assert first.input_gradient == 2 * B * H * K
    assert first.weight_gradient == inner.weight_gradient
    frozen = stage_flops(training_step(*products, frozen="w1"), ["w2"])
    assert frozen.weight_gradient == 2 * B * H * K


def test_attention_has_more_of_input_gradients():
    stage = stage_flops(decoder_block(), ["wq", "wk", "wv", "wo", "w1", "w2"])
    sizes = dict(B=2, T=5, D=12, H=3, G=3, E=4, F=48, S=5)
    assert evaluate(stage.input_gradient - stage.weight_gradient, sizes) == 2 * 2 * (2 * 2 * 3 * 4 * 5 * 5)


def test_stages_of_a_model_add_up_to_it():
    block = attention_part() + feed_forward_part()
    stages = pipeline_stages(block, 12, 4, first=embedding(), last=output_layer())
    whole = 12 * block + embedding() + output_layer()
    for what in ("parameters", "forward", "backward"):
        assert sum(getattr(stage, what) for stage in stages).expand() == getattr(whole, what).expand()
    ends = [(stage.parameters - 3 * block.parameters).expand() for stage in stages]
    assert ends == [embedding().parameters, 0, 0, output_layer().parameters]


@pytest.mark.parametrize(
    ("make", "error", "says"),
    [
        (lambda: interleaved(4, 6, 2), ValueError, "micro_batches=6 in 2 chunks on 4 ranks .* multiple of 4"),
        (lambda: gpipe(0, 6), ValueError, "ranks=0 is not a size"),
        (lambda: one_forward_one_backward(4, 2.5), ValueError, r"micro_batches=2\.5"),
        (lambda: zero_bubble(4, "8"), ValueError, "micro_batches='8'"),
        (lambda: gpipe(2, 2).run(0.5), TypeError, r"forward=0\.5 is not an exact time"),
        (lambda: gpipe(2, 2).run(-1), ValueError, "forward=-1 is below 0"),
        (lambda: gpipe(2, 2).run(1, [1, 2, 3]), ValueError, r"input_gradient=\[1, 2, 3\] has 3 times: .* 2 stages"),
        (lambda: Schedule((), 0), ValueError, "micro_batches=0 is not a size"),
        (lambda: Schedule((), 2, 0), ValueError, "chunks=0"),
        (lambda: Schedule(((Action(FORWARD, 0, 0),),), 1), ValueError, "the order of rank 0 has Action.*'backward'"),
        (
            lambda: Schedule(((Action(FORWARD, 0, 0), *2 * [Action(BACKWARD, 0, 0)]),), 1),
            ValueError,
            "the order of rank 0 has Action.*'backward'.* too often",
        ),
        (lambda: Schedule(((),), 1), ValueError, "the order of rank 0 has Action.*'forward'.* not at all"),
        (
            lambda: Schedule(((Action(BACKWARD, 0, 0), Action(FORWARD, 0, 0)),), 1).run(),
            ValueError,
            "rank 0 waits for ever before Action.*'backward'",
        ),
        (lambda: gpipe(4, 4).in_flight(9), ValueError, "rank=9 is not one of 4: give 0 to 3"),
        (lambda: gpipe(4, 4).in_flight(None), ValueError, "rank=None is not a size"),
        (lambda: gpipe(4, 4).in_flight(-1), ValueError, "rank=-1 is not a size"),
        (lambda: gpipe(4, 4).transfers(9, 1024), ValueError, "rank=9 is not one of 4: give 0 to 3"),
        (lambda: gpipe(4, 4).stages(4), ValueError, "rank=4 is not one of 4: give 0 to 3"),
        (lambda: gpipe(4, 4).run().busy(9), ValueError, "rank=9 is not one of 4: give 0 to 3"),
        (lambda: gpipe(4, 4).run().busy(True), ValueError, "rank=True is not a size"),
        (lambda: gpipe(2, 2).run(0, 0, 0).bubble, ValueError, "takes no time, .* write a time above 0"),
        (lambda: bubble(4, 6, chunks=2), ValueError, "micro_batches=6 in 2 chunks on 4 ranks .* multiple of 4"),
        (lambda: in_flight(4, 6, chunks=2), ValueError, "micro_batches=6 in 2 chunks on 4 ranks .* multiple of 4"),
        (lambda: in_flight(4, 8, rank=4), ValueError, "rank=4 is not one of 4: give 0 to 3"),
        (lambda: split_backward_bubble(4, 2), ValueError, "micro_batches=2 are fewer than ranks=4: give at least 4"),
        (lambda: bubble(0, 4), ValueError, "ranks=0"),
        (lambda: in_flight("p", 4), TypeError, "ranks='p' is not an amount"),
        (lambda: stage_flops("x", ["w"]), TypeError, "'x' is not a step"),
        (
            lambda: stage_flops(training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]")), ["z"]),
            ValueError,
            r"weights=\['z'\] names 'z': give some of \['w', 'x'\]",
        ),
        (lambda: stage_flops(training_step(matmul("x[B,D] @ w[D,K] -> y[B,K]")), "w"), TypeError, "weights='w'"),
        (
            lambda: pipeline_stages(feed_forward_part(), 30, 4, embedding(), output_layer()),
            ValueError,
            "layers=30 cannot be shared equally by 4 stages: give a multiple of 4",
        ),
        (lambda: pipeline_stages(3, 8, 4, embedding(), output_layer()), TypeError, "block=3 is not a model"),
    ],
)
def test_what_cannot_be_is_refused(make, error, says):
    with pytest.raises(error, match=says):
        make()
