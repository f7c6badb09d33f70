"""Test the picture of a dot product."""

import pytest

from flopbook.drawing import dot_product
from flopbook.predict import evaluate, matmul

PRODUCT = matmul("x[D] @ w[D] -> y[]")


@pytest.fixture(scope="module")
def picture():
    return dot_product(PRODUCT, range(2, 9), 5)


def test_every_length_has_the_counts_of_the_formulas(picture, states):
    for state, frame in states(picture):
        D = state["length"]
        flops, macs = evaluate(PRODUCT.flops, dict(D=D)), evaluate(PRODUCT.macs, dict(D=D))
        assert [row[2] for row in frame.table.rows] == [flops - 1, macs, flops]
        counted = {"operations": flops - 1, "multiply-accumulates": macs, "FLOPs, by convention": flops}
        if state["count"] in counted:
            assert f"{counted[state['count']]} " in frame.sentence


def test_the_last_number_in_the_drawing_is_the_count(picture, states):
    for state, frame in states(picture):
        counted = {row[0]: row[2] for row in frame.table.rows}
        numbers = [int(text) for shape in frame.shapes if (text := shape.partition(">")[2].partition("<")[0]).isdigit()]
        if state["count"] == "nothing yet":
            assert numbers == []
        else:
            assert sorted(set(numbers) - {0}) == list(range(1, counted[state["count"]] + 1))


def test_there_is_a_circle_for_each_operation(picture):
    for count, circles in ("nothing yet", 9), ("operations", 9), ("FLOPs, by convention", 10):
        assert sum(shape.startswith("<circle") for shape in picture.frame(count=count).shapes) == circles


def test_the_first_frame_gives_nothing_away(picture):
    assert picture.frame().sentence.endswith("Decide, then choose what to count.")


@pytest.mark.parametrize(
    ("product", "lengths", "says"),
    [
        (matmul("x[B,D] @ w[D] -> y[B]"), [5], "is not a dot product"),
        (PRODUCT, [1, 5], r"lengths=\[1, 5\] do not fit"),
    ],
)
def test_what_cannot_be_drawn_is_refused(product, lengths, says):
    with pytest.raises(ValueError, match=says):
        dot_product(product, lengths, 5)
