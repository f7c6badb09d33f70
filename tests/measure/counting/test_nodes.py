"""Test who made a node of the autograd graph."""

import threading

import pytest
import torch

from flopbook.measure.counting.nodes import Makers


@pytest.fixture
def x():
    return torch.ones(3, requires_grad=True)


def test_a_node_has_the_maker_of_its_time(x):
    makers, made = Makers("nobody"), {"nobody": x.exp()}
    for maker in ("one", "two", "three"):
        makers.from_here(maker)
        made[maker] = x.exp()
    assert {maker: makers.of(y.grad_fn) for maker, y in made.items()} == {maker: maker for maker in made}


def test_a_node_that_no_operator_made_has_no_maker(x):
    y = x.exp()
    makers = Makers("nobody")
    makers.from_here("module")
    ((accumulates, _),) = y.grad_fn.next_functions
    assert makers.of(accumulates) == "nobody"


def test_an_operator_that_makes_no_node_takes_none_of_another_maker(x):
    makers, made = Makers("nobody"), {}
    for maker in ("one", "two"):
        makers.from_here(maker)
        made[maker] = x.exp()
    makers.from_here("three")
    makers.of_this_operator("backward", first=True)
    assert {maker: makers.of(y.grad_fn) for maker, y in made.items()} == {"one": "one", "two": "two"}


def test_the_first_operator_of_a_backward_pass_has_the_last_node_and_later_ones_all_since(x):
    makers = Makers("nobody")
    before = x.exp()
    first = x.exp()
    makers.of_this_operator("first", first=True)
    later = [x.exp(), x.exp()]
    makers.of_this_operator("later", first=False)
    assert [makers.of(y.grad_fn) for y in (before, first, *later)] == ["nobody", "first", "later", "later"]


def test_the_first_node_of_a_thread_has_no_maker_of_later_ones(x):
    found = []

    def work():
        first = x.exp()
        makers = Makers("nobody")
        makers.from_here("module")
        found.append((first.grad_fn._sequence_nr(), makers.of(first.grad_fn)))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(0, "nobody")]
