"""Test which activations a step keeps, and the bytes of each kind."""

from dataclasses import replace

import pytest

from flopbook.predict import B, D, H, K, evaluate, matmul, training_step
from flopbook.predict.memory import FLOAT32, MIXED, Formats, activation_memory, kept, training_memory
from flopbook.predict.notation import NotationError

FIRST = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
SECOND = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
STEP = training_step(FIRST, SECOND, data="x")
WEIGHTS = D * H + H * K


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (STEP, ["x[B,D]", "h[B,H]"]),
        (training_step(FIRST, SECOND), ["h[B,H]"]),  # x is trained, and so in memory as a parameter
        (training_step(FIRST, SECOND, data="x", frozen="w1"), ["h[B,H]"]),
        (training_step(FIRST, SECOND, data="x", frozen="w2"), ["x[B,D]"]),
        (training_step(FIRST, data=["x", "w1"]), []),
    ],
)
def test_an_activation_is_kept_where_a_backward_product_reads_it(step, expected):
    assert [str(tensor) for tensor in kept(step)] == expected


def test_a_tensor_that_two_products_read_is_kept_once():
    gate = matmul("x[B,D] @ w1[D,H] -> g[B,H]")
    up = matmul("x[B,D] @ w2[D,H] -> u[B,H]")
    assert [str(tensor) for tensor in kept(training_step(gate, up, data="x"))] == ["x[B,D]"]


def test_the_kinds_in_float32():
    memory = training_memory(STEP, biases=["b1[H]", "b2[K]"], also_kept=["y[B,K]"])
    numbers = WEIGHTS + H + K
    assert memory.parameters == memory.gradients == (4 * numbers).expand()
    assert memory.optimizer == (8 * numbers + 4 * 4).expand()
    assert memory.activations == (4 * B * (D + H + K)).expand()
    assert memory.total == sum(memory)


@pytest.mark.parametrize(
    ("optimizer", "numbers", "counters"),
    [("SGD", 0, 0), ("SGD with momentum", 1, 0), ("Adam", 2, 1), ("AdamW", 2, 1)],
)
def test_the_state_of_each_optimizer(optimizer, numbers, counters):
    assert training_memory(STEP, optimizer=optimizer).optimizer == (4 * numbers * WEIGHTS + 8 * counters).expand()


@pytest.mark.parametrize(
    ("formats", "optimizer", "bytes_"),
    [
        (FLOAT32, "AdamW", 16),
        (MIXED, "AdamW", 16),
        (replace(MIXED, gradients=4), "Adam", 18),
        (replace(MIXED, gradients=0, master=0), "Adam", 10),
        (Formats(2, 2, 2, 2), "AdamW", 8),
        (FLOAT32, "SGD", 8),
        (FLOAT32, "SGD with momentum", 12),
    ],
)
def test_bytes_per_parameter(formats, optimizer, bytes_):
    memory = training_memory(training_step(FIRST, data="x"), optimizer=optimizer, formats=formats)
    assert sum(memory[:3]).coeff(D * H) == bytes_


def test_a_frozen_weight_has_neither_gradient_nor_state():
    memory = training_memory(training_step(FIRST, SECOND, data="x", frozen="w1"), optimizer="Adam")
    assert memory.parameters == (4 * WEIGHTS).expand()
    assert memory.gradients == 4 * H * K
    assert memory.optimizer == 8 * H * K + 4


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"optimizer": "adam"}, "optimizer='adam' is not known; did you mean 'Adam'? Write one of 'SGD', "),
        ({"biases": "w2[H,K]"}, "biases names w2[H,K], which is held already: leave it out, or give it another name"),
        ({"biases": ["b[K]", "b[K]"]}, "biases names b[K], which is held already"),
        ({"also_kept": "h[B,H]"}, "also_kept names h[B,H], which is held already"),
        ({"biases": ["b"]}, "'b' is not a tensor: write it like 'x[B,D]'"),
    ],
)
def test_messages(arguments, message):
    with pytest.raises(ValueError) as error:
        training_memory(STEP, **arguments)
    assert str(error.value).startswith(message)


def test_one_tensor_needs_no_list():
    listed = training_memory(STEP, biases=["b[K]"], also_kept=["y[B,K]"])
    assert training_memory(STEP, biases="b[K]", also_kept="y[B,K]") == listed


def test_an_unreadable_tensor_is_an_error_of_notation():
    with pytest.raises(NotationError):
        training_memory(STEP, also_kept=["y[B,B]"])


def test_evaluates_to_an_integer():
    assert evaluate(training_memory(STEP).total, {"B": 3, "D": 5, "H": 7, "K": 2}) == 16 * 49 + 2 * 4 + 4 * 3 * 12


def test_a_step_without_parts_keeps_nothing():
    assert activation_memory() == (0, 0)
