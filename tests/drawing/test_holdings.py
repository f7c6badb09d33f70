"""Test the picture of what ranks keep and send."""

import pytest

from flopbook.drawing import rank_holdings
from flopbook.predict.parallel import carried, zero

MODELS, RANKS, MEMORY = {"large": 64 * 10**9, "small": 64 * 10**6}, [1, 2, 4, 64], 80 * 10**9


@pytest.fixture(scope="module")
def picture():
    return rank_holdings(MODELS, RANKS, MEMORY)


def numbers(frame):
    return [row[1] for row in frame.table.rows]


def test_each_state_has_the_bytes_of_its_stage(picture, states):
    seen = {}
    for state, frame in states(picture):
        stage = ("nothing", "optimizer state", "state and gradients", "all three").index(state["shard"])
        rank = zero(stage, MODELS[state["model"]], state["ranks"])
        *kept, all_kept, forward, backward, update, sent = numbers(frame)
        assert kept == list(rank.held[:3])
        assert all_kept == sum(kept)
        assert forward + backward + update == sent == sum(ring for *_, ring in carried(rank.transfers).values())
        seen[state["model"], state["ranks"], stage] = all_kept
    assert [seen["large", 4, stage] for stage in range(4)] == [16 * 64e9, 7 * 64e9, 5.5 * 64e9, 4 * 64e9]
    assert len({seen["large", 1, stage] for stage in range(4)}) == 1


def test_a_step_of_all_three_sends_half_as_much_again(picture):
    plain, sharded = (numbers(picture.frame(ranks=64, shard=shard))[-1] for shard in ("nothing", "all three"))
    assert 2 * sharded == 3 * plain


def test_the_sentence_says_whether_a_device_holds_it(picture):
    assert "sends nothing" in picture.frame(ranks=1).sentence
    assert "does not hold" in picture.frame(ranks=64, shard="nothing").sentence
    assert "GB holds that" in picture.frame(ranks=64, shard="all three").sentence
    assert "How many ranks does it take?" in picture.frame(ranks=2, shard="all three").sentence


def test_ranks_that_do_not_divide_are_named():
    with pytest.raises(ValueError, match="3 ranks do not divide 64"):
        rank_holdings({"model": 64, "other": 32}, [1, 3], MEMORY)
