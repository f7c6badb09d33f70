"""The views of what a witness noted."""

import pytest

from flopbook.counts.tally import Call, Tally, Total

NOTES = [
    ("forward", "Net.first", "aten::mm", 48, 0),
    ("forward", "Net.first", "aten::mm", 48, 0),
    ("forward", "Net", "aten::relu", 0, 8),
    ("backward", "Net.first", "aten::mm", 96, 0),
    ("recomputed", "Net.first", "aten::addmm", 24, 5),
    ("optimizer", "", "aten::bmm", 500, 0),
]


@pytest.fixture
def tally():
    noted = Tally()
    noted.witness = "counted"
    for note in NOTES:
        noted.note(*note)
    return noted


def test_flops_of_each_phase_and_of_all(tally):
    assert (tally.forward, tally.backward, tally.recomputed, tally.optimizer) == (96, 96, 24, 500)
    assert tally.total == 96 + 96 + 24 + 500


def test_pointwise_flops_stay_apart(tally):
    assert tally.pointwise == {"forward": 8, "backward": 0, "recomputed": 5, "optimizer": 0}


def test_operators_that_contract_with_the_most_flops_first(tally):
    assert list(tally.by_operator.items()) == [
        ("aten::bmm", Total(500, 1)),
        ("aten::mm", Total(192, 3)),
        ("aten::addmm", Total(24, 1)),
    ]


def test_equal_calls_are_noted_once_with_their_number(tally):
    assert tally.calls[Call("forward", "Net.first", "aten::mm", 48, 0)] == 2
    assert len(tally.calls) == 5


def test_it_prints_the_phases_that_contract(tally):
    assert repr(tally) == "<counted: forward 96, backward 96, recomputed 24, optimizer 500>"


def test_an_empty_tally_says_zero():
    empty = Tally()
    empty.witness = "counted"
    assert (empty.total, empty.by_operator, empty.calls, empty.uncounted) == (0, {}, {}, {})
    assert repr(empty) == "<counted: no contraction>"


def test_a_view_is_a_copy(tally):
    tally.calls.clear()
    tally.uncounted["aten::fft"] = 1
    assert tally.total and not tally.uncounted
