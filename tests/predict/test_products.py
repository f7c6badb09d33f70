"""Test products: their letters, their FLOPs and their gradients."""

import pytest

from flopbook.predict import B, C, D, E, H, K, S, T, axis, conv, matmul
from flopbook.predict.notation import NotationError

P, R = axis("P"), axis("R")


@pytest.mark.parametrize(
    ("text", "macs"),
    [
        ("x[B,D] @ w[D,K] -> y[B,K]", B * D * K),
        ("x[B,D] @ w[K,D] -> y[B,K]", B * D * K),
        ("x[D] @ w[D,K] -> y[K]", D * K),
        ("x[B,T,D] @ w[D,K] -> y[B,T,K]", B * T * D * K),
        ("q[B,H,T,E] @ k[B,H,S,E] -> s[B,H,T,S]", B * H * T * S * E),
        ("s[B,H,T,S] @ v[B,H,S,E] -> o[B,H,T,E]", B * H * T * S * E),
        ("x[D] @ w[D] -> y[]", D),
    ],
)
def test_a_product_takes_two_flops_for_each_combination_of_its_letters(text, macs):
    product = matmul(text)
    assert (product.macs, product.flops) == (macs, 2 * macs)


def test_a_product_prints_as_it_is_written():
    assert str(matmul("x[B,D]@w[D,K]->y[B,K]")) == "x[B,D] @ w[D,K] -> y[B,K]"
    assert repr(conv("x[B,C,X]*w[K,C,R]->y[B,K,P]")) == "x[B,C,X] * w[K,C,R] -> y[B,K,P]"


@pytest.mark.parametrize(
    ("text", "gradients"),
    [
        (
            "x[B,D] @ w[D,K] -> y[B,K]",
            ["x[B,D] @ y.grad[B,K] -> w.grad[D,K]", "y.grad[B,K] @ w[D,K] -> x.grad[B,D]"],
        ),
        (
            "q[B,T,E] @ k[B,S,E] -> s[B,T,S]",
            ["q[B,T,E] @ s.grad[B,T,S] -> k.grad[B,S,E]", "s.grad[B,T,S] @ k[B,S,E] -> q.grad[B,T,E]"],
        ),
    ],
)
def test_a_gradient_is_a_product_that_can_be_read_again(text, gradients):
    product = matmul(text)
    assert [str(gradient) for gradient in product.gradients] == gradients
    assert [matmul(gradient).flops for gradient in gradients] == [product.flops] * 2


@pytest.mark.parametrize(
    ("text", "macs"),
    [
        ("x[B,C,X] * w[K,C,R] -> y[B,K,P]", B * K * P * C * R),
        ("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,T]", B * K * P * T * C * R * S),
        ("x[B,G,C,X] * w[G,K,C,R] -> y[B,G,K,P]", B * axis("G") * K * P * C * R),
        ("x[B,C,X] * w[C,R] -> y[B,C,P]", B * C * P * R),
        ("x[B,C] * w[K,C] -> y[B,K]", B * C * K),
    ],
)
def test_a_convolution_runs_over_the_letters_of_result_and_weight(text, macs):
    product = conv(text)
    assert product.flops == 2 * macs
    assert [gradient.flops for gradient in product.gradients] == [2 * macs] * 2


@pytest.mark.parametrize(
    ("text", "name", "tensor"),
    [
        ("x[B,D] @ w[H,K] -> y[B,K]", "D", "x[B,D]"),
        ("x[B,D] @ w[D,K] -> y[B,K,T]", "T", "y[B,K,T]"),
        ("x[B,D] @ w[D,K,H] -> y[B,K]", "H", "w[D,K,H]"),
    ],
)
def test_an_axis_in_one_tensor_only_is_named(text, name, tensor):
    with pytest.raises(NotationError) as error:
        matmul(text)
    assert str(error.value) == (
        f"{text!r}: the axis {name} occurs in {tensor} only: name it in a second tensor too, or leave it out"
    )


def test_spatial_axes_come_in_threes():
    text = "x[B,C,X,Y] * w[K,C,R] -> y[B,K,P]"
    with pytest.raises(NotationError) as error:
        conv(text)
    assert str(error.value) == (
        f"{text!r}: each tensor needs as many spatial axes of its own as the others, but x[B,C,X,Y] has X, Y, "
        "w[K,C,R] has R, y[B,K,P] has P: write it like 'x[B,C,X] * w[K,C,R] -> y[B,K,P]'"
    )


@pytest.mark.parametrize("text", ["x[B,C,X] @ w[K,C,R] -> y[B,K,P]", "x[B,C,X] * w[K,C,R]"])
def test_a_convolution_of_another_form_is_quoted(text):
    with pytest.raises(NotationError, match=r"is not one product: write it like"):
        conv(text)


@pytest.mark.parametrize("text", ["x[B] @ y[D] -> z[B,D]", "x[B,D] @ y[B,D] -> z[B,D]"])
def test_what_sums_over_nothing_is_not_a_contraction(text):
    with pytest.raises(NotationError) as error:
        matmul(text)
    assert str(error.value) == (
        f"{text!r} sums over nothing and is pointwise: name an axis in both operands that the result lacks"
    )


def test_the_gradient_that_is_an_outer_product_runs_over_the_same_letters():
    matrix_gradient, vector_gradient = matmul("x[D] @ w[D,K] -> y[K]").gradients
    assert (matrix_gradient.flops, vector_gradient.flops) == (2 * D * K, 2 * D * K)
