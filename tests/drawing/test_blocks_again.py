"""Test the picture of what blocks hold over a step."""

import pytest

from flopbook.drawing import saw_tooth
from flopbook.drawing.blocks_again import PLANS
from flopbook.predict import evaluate
from flopbook.predict.recomputation import Block

SIZES, LAYERS = dict(B=2, T=5, D=12, H=3, E=4, F=48), 7
BLOCKS = {"unfused": Block(), "fused": Block(fused=True)}


@pytest.fixture(scope="module")
def picture():
    return saw_tooth(SIZES, LAYERS)


def numbers(frame):
    return [row[1] for row in frame.table.rows]


def plan(block, keep):
    if every := PLANS[keep]:
        return block.checkpoint_every(every, LAYERS)
    return block.keep_all(LAYERS) if keep == "everything" or block.fused else block.recompute_squares(LAYERS)


def test_the_bytes_and_flops_of_a_step_are_those_of_its_plan(picture, states):
    steps = {}
    for state, frame in states(picture):
        steps.setdefault((state["attention"], state["keep"]), []).append(numbers(frame))
    assert len(steps) == 2 * len(PLANS)
    for (attention, keep), moments in steps.items():
        block = BLOCKS[attention]
        trade = [evaluate(each, SIZES) for each in plan(block, keep)]
        last = moments[-1]
        assert [moments[LAYERS - 1][2], max(held for _, _, held, *_ in moments), last[4]] == trade
        assert [last[3], last[5]] == [LAYERS * times * evaluate(block.forward, SIZES) for times in (1, 2)]


def test_each_state_adds_up(picture, states):
    for _, frame in states(picture):
        kept, again, held, *flops, total = numbers(frame)
        assert kept + again == held
        assert sum(flops) == total


def test_the_most_of_a_plan_is_named_and_the_start_asks(picture):
    assert picture.frame().sentence.endswith("Guess, then step on.")
    assert "This is the most" in picture.frame(moment=LAYERS).sentence
    saw = picture.frame(keep="every 3rd block's input", moment=LAYERS + 2).sentence
    assert "Blocks 4 to 6 run again" in saw
    assert "This is the most" in saw
    end = picture.frame(keep="each block's input", moment=2 * LAYERS).sentence
    assert "It runs again" in end
    assert "times the model's FLOPs" in end
    assert "nothing to leave out" in picture.frame(keep="all but squares", attention="fused").sentence


def test_a_missing_size_is_named():
    with pytest.raises(ValueError, match="needs a size for T"):
        saw_tooth({letter: size for letter, size in SIZES.items() if letter != "T"}, LAYERS)
