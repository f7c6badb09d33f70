"""Test the sums of the calls that a measurement noted."""

import pytest

from flopbook.counts.communication import Sent, Transfer
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


def test_transcendental_and_integer_stay_apart(tally):
    tally.note("backward", "", "aten::exp", 0, 8, 6)
    tally.note("forward", "", "aten::_int_mm", 0, 0, 0, 48)
    assert tally.transcendental == {"forward": 0, "backward": 6, "recomputed": 0, "optimizer": 0}
    assert tally.integer == {"forward": 48, "backward": 0, "recomputed": 0, "optimizer": 0}
    assert tally.total == 96 + 96 + 24 + 500


class Unread:
    """Notes how often it is read, since reading a number waits for its device."""

    def __init__(self, value):
        self.value, self.reads = value, 0

    def __int__(self):
        self.reads += 1
        return self.value


def test_what_is_masked_is_read_once_and_only_when_asked_for(tally):
    number = Unread(30)
    tally.note_masked("forward", "aten::sdpa", number)
    tally.note_masked("forward", "aten::sdpa", 5)
    tally.note_masked("backward", "aten::sdpa", 7)
    assert (tally.total, number.reads) == (716, 0)
    for _ in range(2):
        assert tally.masked == {"forward": 35, "backward": 7, "recomputed": 0, "optimizer": 0}
        assert tally.needed == 716 - 42
    assert number.reads == 1


def test_a_mask_that_is_unknown_is_listed_and_nothing_is_taken_off(tally):
    tally.note_masked("forward", "aten::sdpa", None)
    tally.note_masked("backward", "aten::sdpa", None)
    assert tally.masked_unknown == {"aten::sdpa": 2}
    assert tally.needed == tally.total


def test_model_flops_are_those_of_forward_and_backward_without_what_is_made_again(tally):
    tally._remade["backward"] += 20
    assert tally.remade == {"forward": 0, "backward": 20, "recomputed": 0, "optimizer": 0}
    assert tally.model_flops == 96 + 96 - 20


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


def test_it_prints_operations_on_integers_where_there_are_some():
    tally = Tally()
    tally.witness = "counted"
    tally.note("forward", "", "aten::_int_mm", 0, 0, 0, 1200)
    assert repr(tally) == "<counted: no contraction, 1,200 operations on integers>"


def test_a_view_is_a_copy(tally):
    tally.calls.clear()
    tally.uncounted["aten::fft"] = 1
    assert tally.total and not tally.uncounted


def test_communication_is_added_up_by_place_and_by_collective(tally):
    first, second = Transfer("all-reduce", "forward", "Net", 2), Transfer("all-gather", "backward", "Net", 4)
    for transfer, payload, ring in ((first, 64, 64), (first, 8, 8), (second, 400, 300)):
        tally.note_communication(transfer, payload, ring)
    other = Tally()
    other.note_communication(first._replace(phase="backward"), 16, 16)
    tally.absorb(other)
    assert tally.communication == {
        first: Sent(2, 72, 72), second: Sent(1, 400, 300), first._replace(phase="backward"): Sent(1, 16, 16),
    }  # fmt: skip
    assert list(tally.by_collective.items()) == [("all-gather", Sent(1, 400, 300)), ("all-reduce", Sent(3, 88, 88))]
