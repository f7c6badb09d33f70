"""Test the picture of a pipeline: its numbers are those of the schedules and of the formulas."""

from fractions import Fraction

import pytest

from flopbook.drawing import pipeline_timeline
from flopbook.predict import evaluate
from flopbook.predict.parallel import bubble, in_flight, split_backward_bubble


@pytest.fixture(scope="module")
def picture():
    return pipeline_timeline()


def formula(schedule, p, m):
    if schedule == "zero bubble":
        return evaluate(split_backward_bubble(p, m), {})
    return evaluate(bubble(p, m, 2 if "interleaved" in schedule else 1), {})


def test_every_bubble_is_that_of_its_formula(picture, states):
    seen = set()
    for state, frame in states(picture):
        *ranks, total = frame.table.rows
        share = formula(**state)
        waits, works = Fraction(total[2]), Fraction(total[1])
        assert waits / (waits + works) == share
        assert f"wait for {share} of it" in frame.sentence
        assert works == 3 * state["p"] * state["m"]
        seen.add((state["p"], state["m"], share))
        assert [sum(Fraction(row[place]) for row in ranks) for place in (1, 2, 4)] == [
            Fraction(total[place]) for place in (1, 2, 4)
        ]
    assert len(seen) == 3 * 4  # GPipe and 1F1B have one bubble


def test_what_is_in_flight_is_that_of_the_formula(picture, states):
    for state, frame in states(picture):
        schedule, p, m = state["schedule"], state["p"], state["m"]
        flying = [row[3] for row in frame.table.rows[:-1]]
        by_formula = {
            "GPipe": [m] * p,
            "1F1B": [in_flight(p, m, rank) for rank in range(p)],
            "interleaved 1F1B": [in_flight(p, m, rank, chunks=2) for rank in range(p)],
            "zero bubble": [min(p, m)] * p,
        }[schedule]
        assert flying == by_formula


def test_each_rank_sends_what_its_neighbours_wait_for(picture):
    assert [row[4] for row in picture.frame(schedule="GPipe", p=4, m=8).table.rows] == [8, 16, 16, 8, 48]
    with_chunks = picture.frame(schedule="interleaved 1F1B", p=4, m=8).table.rows
    assert [row[4] for row in with_chunks] == [24, 32, 32, 24, 112]


def drawn(frame, look):
    """Return height and width of each box of a look, without the legend's."""
    paths = [shape for shape in frame.shapes if shape.startswith("<path") and f'class="{look}"' in shape]
    boxes = [box.split("z")[0] for path in paths for box in path.split("M")[1:]]
    return [(float(box.split("v")[1].split("h")[0]), float(box.split("h")[1].split("v")[0])) for box in boxes]


def test_each_piece_of_work_and_each_wait_is_drawn(picture):
    frame = picture.frame(schedule="zero bubble", p=2, m=4)
    assert [len(drawn(frame, look)) for look in ("forward", "backward", "backward line")] == [2 * 4] * 3
    ends, texts = picture.frame(schedule="GPipe", p=4, m=8), list("12345678")
    assert len(drawn(ends, "left-out")) == 3 + 4 + 2  # before, between and behind the work
    for each in (frame, ends):
        said = [shape.split(">")[1].split("<")[0] for shape in each.shapes if shape.startswith("<text")]
        assert [said.count(text) for text in texts[:4]] >= [4] * 4


def test_chunks_lie_above_each_other_and_half_as_long(picture):
    (whole, long), *_ = drawn(picture.frame(), "forward")
    halves = drawn(picture.frame(schedule="interleaved 1F1B"), "forward")
    assert {(2 * high, pytest.approx(2 * wide, abs=0.2)) == (whole, long) for high, wide in halves} == {True}
    assert len(halves) == 2 * 4 * 4


def test_the_first_frame_is_the_question_of_the_lecture(picture):
    assert "4 ranks and 4 micro-batches take 21 units" in picture.frame().sentence
    assert "wait for 3/7 of it" in picture.frame().sentence


def test_ranks_that_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="give a multiple of 4"):
        pipeline_timeline(ranks=(2, 4), micro_batches=(4, 6))
