"""Test derivatives on paper: which products they have, and what is refused."""

import pytest

from flopbook.predict import axis, flops, matmul, training_step
from flopbook.predict.derivatives import (
    ORDERS,
    adjoints,
    gradient_penalty,
    hessian_vector,
    jacobian,
    jvp,
    per_sample,
    tangents,
    zeroth_order,
)

FIRST = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
SECOND = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
STEP = training_step(FIRST, SECOND, data="x")
C1, C = FIRST.flops, FIRST.flops + SECOND.flops


def written(products):
    return {str(product) for product in products}


def test_tangents_of_zeros_are_multiplied_once_whatever_the_directions():
    assert written(tangents([FIRST, SECOND], "w2", letter="P")) == {
        "h.dot[B,H] @ w2[H,K] -> y.dot[B,K]",
        "h[B,H] @ w2.dot[P,H,K] -> y.dot[P,B,K]",
    }
    assert written(tangents([FIRST, SECOND], ["w2"], zeros=False)) == {"h[B,H] @ w2.dot[H,K] -> y.dot[B,K]"}


def test_adjoints_go_only_where_something_is_wanted():
    assert written(adjoints([FIRST, SECOND], "y", "w2", letter="P")) == {
        "h[B,H] @ y.bar[P,B,K] -> w2.bar[P,H,K]",
    }
    assert adjoints([FIRST, SECOND], "h", "w2") == ()


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_square_layers_give_the_known_counts(depth):
    layers = [matmul(f"h{i}[B,W{i}] @ w{i}[W{i},W{i + 1}] -> h{i + 1}[B,W{i + 1}]") for i in range(depth)]
    step = training_step(*layers, data="h0")

    def products(derived):
        return len(derived.forward) + len(derived.backward)

    assert products(step) == 3 * depth - 1
    assert (products(jvp(step)), products(jvp(step, zeros=False))) == (3 * depth, 3 * depth - 1)
    orders = [products(hessian_vector(step, order)) for order in ORDERS]
    assert orders == [9 * depth - 5, 9 * depth - 3, 8 * depth - 3]
    without_zeros = [products(hessian_vector(step, order, zeros=False)) for order in ORDERS]
    assert without_zeros == [9 * depth - 5, 9 * depth - 5, 8 * depth - 5]


def test_a_frozen_weight_has_neither_tangent_nor_second_derivative():
    step = training_step(FIRST, SECOND, data="x", frozen="w1")
    assert jvp(step, zeros=False).flops == C + SECOND.flops
    assert not any("w1" in name and "." in name for name in written(hessian_vector(step).backward))


def test_several_directions_share_the_gradient():
    second = hessian_vector(STEP).flops - STEP.flops
    assert hessian_vector(STEP, letter="P").flops.equals(STEP.flops + axis("P") * second)


def test_a_step_with_one_evaluation_is_a_forward_pass():
    assert zeroth_order(STEP, evaluations=1, steps=1) == flops(STEP.forward)


def test_a_step_without_derivatives_is_one_and_evaluates_twice_unless_told():
    assert zeroth_order(STEP) == 2 * flops(STEP.forward)


def test_directions_are_given_and_not_trained():
    derived = jvp(STEP)
    assert {tensor.name for tensor in derived.trained} == {"w1", "w2"}
    assert derived.data == {"x", "x.dot", "w1.dot", "w2.dot"}


def test_a_linear_critic_goes_back_through_its_slopes_alone():
    assert gradient_penalty(STEP, linear="h").flops == 4 * C - SECOND.flops
    assert gradient_penalty(STEP).flops == 6 * C - 3 * SECOND.flops - C1


@pytest.mark.parametrize(
    ("wrong", "kind", "says"),
    [
        (lambda: jvp("x"), TypeError, "'x' is not a training step"),
        (lambda: jvp(training_step(FIRST, data="x", frozen="w1")), ValueError, "nothing is trained in"),
        (lambda: hessian_vector(STEP, "forward"), ValueError, "order='forward' is not known"),
        (lambda: hessian_vector(STEP, linear="z"), ValueError, "linear='z' is not a result: give one of h, y"),
        (lambda: hessian_vector(STEP, letter="B"), ValueError, "letter='B' is an axis of"),
        (lambda: jvp(STEP, letter="1"), ValueError, "'1' is not the name of an axis"),
        (lambda: jacobian(FIRST, "rows"), TypeError, "is not a training step: write training_step"),
        (lambda: jacobian(STEP, "rows", letter="p-q"), ValueError, "'p-q' is not the name of an axis"),
        (lambda: jacobian(STEP, "diagonals"), ValueError, "by='diagonals' is not known"),
        (lambda: jacobian(training_step(FIRST)), ValueError, "has no data"),
        (lambda: gradient_penalty(training_step(FIRST)), ValueError, "has no data"),
        (lambda: per_sample(STEP, "K"), ValueError, "does not sum over the letter 'K'"),
        (lambda: tangents(["x"], "x"), TypeError, "'x' is not a product"),
        (lambda: tangents([FIRST], "w9"), ValueError, "'w9' is not an input of the products: give some of w1, x"),
        (lambda: adjoints([FIRST], "h", "w9"), ValueError, "'w9' is not an input"),
        (lambda: adjoints([FIRST], "y", "w1"), ValueError, "'y' is not a result of the products: give some of h"),
        (lambda: zeroth_order(STEP, steps=-1), ValueError, "steps=-1 is not a size"),
        (lambda: zeroth_order(STEP, evaluations=1.5), TypeError, "evaluations=1.5 is not an amount"),
        (lambda: zeroth_order([FIRST]), TypeError, "is not a training step"),
    ],
)
def test_what_cannot_be_derived_is_refused(wrong, kind, says):
    with pytest.raises(kind, match=says.replace("[", r"\[")):
        wrong()
