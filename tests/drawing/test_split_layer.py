"""Test the picture of two products that are split over ranks."""

import pytest

from flopbook.drawing import split_product
from flopbook.drawing.split_layer import SPLITS
from flopbook.predict import evaluate, flops, matmul, training_step
from flopbook.predict.parallel import MeshAxis, split

SIZES, BATCHES = dict(D=64, H=256, K=64), (8, 64, 512)
STEP = training_step(matmul("x[B,D] @ w1[D,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"))


@pytest.fixture(scope="module")
def picture():
    return split_product(SIZES, BATCHES)


def test_flops_and_bytes_are_those_of_the_split(picture, states):
    seen = set()
    for state, frame in states(picture):
        ranks, sizes = state["ranks"], SIZES | {"B": state["B"]}
        part = split(STEP, MeshAxis(SPLITS[state["letters"]], ranks), weights="w1 w2")
        told, rows = part.at(sizes), frame.table.rows
        assert [rows[0][1], rows[1][1]] == [told.forward, told.backward]
        assert rows[-1][1] == sum(row[1] for row in rows[2:-1]) == sum(ring for *_, ring in told.carried.values())
        assert ranks * told.forward == evaluate(flops(STEP.forward), sizes)
        assert len(rows) == 3 + len(part.moves)
        seen.add((state["letters"], ranks, rows[-1][1]))
    assert len(seen) == len(SPLITS) * 2 * len(BATCHES) - (len(BATCHES) - 1) * 2  # of a batch, bytes stay


def test_one_split_sends_the_fewest_and_which_depends_on_the_batch(picture, states):
    fewest = {}
    for state, frame in states(picture):
        if "That is the fewest" in frame.sentence:
            fewest.setdefault((state["ranks"], state["B"]), []).append(state["letters"])
    assert fewest[2, 8] == fewest[4, 8] == ["columns, then rows"]
    assert fewest[2, 512] == fewest[4, 512] == ["the batch"]


def test_ranks_that_cannot_be_drawn_or_do_not_divide_are_refused():
    with pytest.raises(ValueError, match="ranks=8 are more than can be drawn: give 2 to 4"):
        split_product(SIZES, BATCHES, ranks=[2, 8])
    with pytest.raises(ValueError, match="K=3 cannot be split over 2 ranks"):
        split_product(SIZES | dict(K=3), BATCHES)
