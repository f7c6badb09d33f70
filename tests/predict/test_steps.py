"""Test which products the backward pass of a step has, and their FLOPs."""

import pytest

from flopbook.predict import B, D, H, K, evaluate, flops, matmul, training_step
from flopbook.predict.notation import NotationError

FIRST = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
SECOND = matmul("h[B,H] @ w2[H,K] -> y[B,K]")

W2_GRAD = "h[B,H] @ y.grad[B,K] -> w2.grad[H,K]"
H_GRAD = "y.grad[B,K] @ w2[H,K] -> h.grad[B,H]"
W1_GRAD = "x[B,D] @ h.grad[B,H] -> w1.grad[D,H]"
X_GRAD = "h.grad[B,H] @ w1[D,H] -> x.grad[B,D]"


def backward(*products, **kinds):
    return [str(product) for product in training_step(*products, **kinds).backward]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ({"data": "x"}, [W2_GRAD, H_GRAD, W1_GRAD]),
        ({}, [W2_GRAD, H_GRAD, W1_GRAD, X_GRAD]),
        ({"data": "x", "frozen": "w1"}, [W2_GRAD]),
        ({"data": "x", "frozen": "w2"}, [H_GRAD, W1_GRAD]),
        ({"frozen": ["w1", "w2"]}, [H_GRAD, X_GRAD]),
        ({"frozen": "w1"}, [W2_GRAD, H_GRAD, X_GRAD]),
        ({"data": ["x"], "frozen": ("w1", "w2")}, []),
    ],
    ids=str,
)
def test_a_gradient_is_needed_where_it_leads_to_a_trainable_tensor(kinds, expected):
    assert backward(FIRST, SECOND, **kinds) == expected


def test_the_gradient_of_data_is_not_needed_which_saves_one_product():
    assert training_step(FIRST, SECOND).flops - training_step(FIRST, SECOND, data="x").flops == 2 * B * D * H


def test_the_forward_pass_is_as_given():
    assert training_step(FIRST, SECOND, data="x").forward == (FIRST, SECOND)


def test_a_tensor_used_twice_gets_a_product_for_each_use():
    tied = matmul("h[B,H] @ w1[D,H] -> y[B,D]")
    assert backward(FIRST, tied, data="x") == [
        "h[B,H] @ y.grad[B,D] -> w1.grad[D,H]",
        "y.grad[B,D] @ w1[D,H] -> h.grad[B,H]",
        W1_GRAD,
    ]


def test_a_result_used_twice_gets_a_product_for_each_use():
    other = matmul("h[B,H] @ w3[H,C] -> z[B,C]")
    assert backward(FIRST, SECOND, other, data="x").count(H_GRAD) == 1
    assert len(backward(FIRST, SECOND, other, data="x")) == 5


def test_attention_differentiates_both_operands():
    scores = matmul("q[B,T,E] @ k[B,S,E] -> s[B,T,S]")
    assert backward(scores) == [
        "q[B,T,E] @ s.grad[B,T,S] -> k.grad[B,S,E]",
        "s.grad[B,T,S] @ k[B,S,E] -> q.grad[B,T,E]",
    ]


def test_flops_of_a_product_of_several_and_of_a_step():
    step = training_step(FIRST, SECOND, data="x")
    assert flops(FIRST) == 2 * B * D * H
    assert flops([FIRST, SECOND]) == flops(step.forward) == 2 * B * D * H + 2 * B * H * K
    assert flops(step.backward) == 2 * B * D * H + 4 * B * H * K
    assert flops(step) == step.flops == 4 * B * D * H + 6 * B * H * K
    assert flops([]) == 0


def test_the_published_step_of_four_layers():
    widths = 429, 1024, 1024, 1024, 1880
    layers = [matmul(f"h{i}[B,D{i}] @ w{i}[D{i},D{i + 1}] -> h{i + 1}[B,D{i + 1}]") for i in range(4)]
    sizes = {"B": 256} | {f"D{i}": width for i, width in enumerate(widths)}
    assert evaluate(training_step(*layers, data="h0").flops, sizes) == 6_628_048_896
    assert evaluate(training_step(*layers).flops, sizes) == 6_852_968_448


def test_a_step_prints_its_derivation():
    assert repr(training_step(FIRST, data="x")) == (
        "forward: 2*B*D*H FLOPs\n"
        "  x[B,D] @ w1[D,H] -> h[B,H]\n"
        "backward: 2*B*D*H FLOPs\n"
        "  x[B,D] @ h.grad[B,H] -> w1.grad[D,H]"
    )


@pytest.mark.parametrize("kind", ["data", "frozen"])
@pytest.mark.parametrize("name", ["X", "h", "y", "w"])
def test_data_and_frozen_name_inputs(kind, name):
    with pytest.raises(ValueError) as error:
        training_step(FIRST, SECOND, **{kind: name})
    assert str(error.value) == (
        f"{name!r} is given as data or frozen, but is not an input of the products: give one of w1, w2, x"
    )


def test_a_name_keeps_its_axes():
    with pytest.raises(NotationError) as error:
        training_step(FIRST, matmul("h[B,K] @ w2[K,D] -> y[B,D]"))
    assert str(error.value) == (
        "'h[B,K] @ w2[K,D] -> y[B,D]' writes h[B,K], which was h[B,H] before: give one tensor "
        "the same axes everywhere, or another name"
    )


@pytest.mark.parametrize(
    ("products", "text", "name"),
    [
        ((SECOND, FIRST), FIRST, "h"),
        ((FIRST, FIRST), FIRST, "h"),
        ((matmul("x[B,D] @ w[D,B2] -> x[B,B2]"),), "x[B,D] @ w[D,B2] -> x[B,B2]", "x"),
    ],
    ids=["out of order", "made twice", "overwritten"],
)
def test_every_result_has_its_own_name(products, text, name):
    with pytest.raises(NotationError) as error:
        training_step(*products)
    assert str(error.value) == (
        f"'{text}' makes {name}, which was made or used before: give every result its own name, "
        "and write the products in the order they run in"
    )


@pytest.mark.parametrize("given", ["x[B,D] @ w[D,K] -> y[B,K]", [matmul("x[B,D] @ w[D,K] -> y[B,K]")]])
def test_a_step_is_made_of_products(given):
    with pytest.raises(TypeError) as error:
        training_step(given)
    assert str(error.value).startswith(f"{given!r} is not a product: write training_step(matmul(")


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (training_step, "no products are given: write training_step(matmul("),
        (lambda: training_step(FIRST, data=3), "3 is not a name: write data='x'"),
        (lambda: training_step(FIRST, data=[3]), "3 is not a name: write data='x'"),
        (lambda: flops("x[B,D] @ w[D,K] -> y[B,K]"), "'x[B,D] @ w[D,K] -> y[B,K]' is text: write flops(matmul("),
        (lambda: evaluate(training_step(FIRST), {}), "is not an expression: write step.flops"),
        (lambda: evaluate(B, None), "None is not a mapping of sizes: write sizes=dict("),
    ],
)
def test_what_is_of_another_kind_gets_an_error_that_says_what_to_write(call, message):
    with pytest.raises(TypeError) as error:
        call()
    assert message in str(error.value)


def test_a_result_that_two_products_make_is_their_sum():
    """Its gradient goes to both, and is needed if one of them leads to something trained."""
    other = matmul("z[B,C] @ w3[C,H] -> h[B,H]")
    assert backward(FIRST, other, SECOND, data=["x", "z"], frozen=["w1", "w2"]) == [
        H_GRAD,
        "z[B,C] @ h.grad[B,H] -> w3.grad[C,H]",
    ]
    with pytest.raises(NotationError, match="makes h, which was made or used before"):
        training_step(FIRST, SECOND, other)
