"""Test reading ``x[B,D] @ w[D,K] -> y[B,K]``, and refusing other texts."""

import pytest

from flopbook.predict import Tensor
from flopbook.predict.notation import NotationError, parse_product

FORM = "write it like 'x[B,D] @ w[D,K] -> y[B,K]'"


@pytest.mark.parametrize(
    ("text", "name", "axes"),
    [
        ("x[B,D]", "x", ("B", "D")),
        ("  x [ B , D ]  ", "x", ("B", "D")),
        ("w1.grad[D_in]", "w1.grad", ("D_in",)),
        ("_h[B,T,H1,E]", "_h", ("B", "T", "H1", "E")),
        ("loss[]", "loss", ()),
    ],
)
def test_a_tensor_is_a_name_and_its_axes(text, name, axes):
    assert Tensor.parse(text) == Tensor(name, axes)


def test_a_tensor_prints_as_it_is_written():
    assert str(Tensor.parse("x[ B, D ]")) == repr(Tensor("x", ("B", "D"))) == "x[B,D]"


def test_a_gradient_has_the_axes_of_its_tensor():
    assert Tensor.parse("w[D,K]").grad == Tensor.parse("w.grad[D,K]")


def test_a_product_is_two_operands_and_a_result():
    assert [str(t) for t in parse_product("x[B,D]@w[D,K]->y[B,K]", "@")] == ["x[B,D]", "w[D,K]", "y[B,K]"]


def test_spaces_and_lines_do_not_matter():
    spread = "x[B, D]\n  @ w[D, K]\n  -> y[B, K]"
    assert parse_product(spread, "@") == parse_product("x[B,D] @ w[D,K] -> y[B,K]", "@")


@pytest.mark.parametrize("text", ["x", "x[B", "x[B]]", "[B,D]", "x(B,D)", "2x[B]", "x[B] y[D]"])
def test_what_is_not_a_tensor_is_quoted(text):
    with pytest.raises(NotationError) as error:
        Tensor.parse(text)
    assert str(error.value) == f"{text!r} is not a tensor: write it like 'x[B,D]'"


def test_a_square_needs_two_letters():
    with pytest.raises(NotationError) as error:
        Tensor.parse("w[D,D]")
    assert str(error.value) == (
        "w[D,D] names an axis twice: give a square two letters, and evaluate both with the same size"
    )


@pytest.mark.parametrize(("text", "name"), [("x[B,3]", "3"), ("x[B,]", ""), ("x[,]", ""), ("x[B D]", "B D")])
def test_an_axis_needs_a_proper_name(text, name):
    with pytest.raises(NotationError) as error:
        Tensor.parse(text)
    assert str(error.value) == (
        f"{text}: {name!r} is not the name of an axis: write a letter, or a letter followed by "
        "letters, digits and underscores, such as B or H1"
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x[B,D] w[D,K] -> y[B,K]",
        "x[B,D] * w[D,K] -> y[B,K]",
        "x[B,D] @ w[D,K]",
        "x[B,D] @ w[D,K] = y[B,K]",
        "x[B,D] @ w[D,K] -> y[B,K] -> z[B,K]",
        "x[B,D] @ w[D,H] @ v[H,K] -> y[B,K]",
    ],
)
def test_what_is_not_one_product_is_quoted(text):
    with pytest.raises(NotationError) as error:
        parse_product(text, "@")
    assert str(error.value) == f"{text!r} is not one product: {FORM}"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("x[B,D] @  -> y[B,K]", "'' is not a tensor: write it like 'x[B,D]'"),
        ("x[B,D] @ w -> y[B,K]", "'w' is not a tensor: write it like 'x[B,D]'"),
        (
            "x[B,D] @ w[D,D] -> y[B,D]",
            "w[D,D] names an axis twice: give a square two letters, and evaluate both with the same size",
        ),
    ],
)
def test_a_bad_tensor_is_quoted_with_its_product(text, reason):
    with pytest.raises(NotationError) as error:
        parse_product(text, "@")
    assert str(error.value) == f"{text!r}: {reason}"


@pytest.mark.parametrize("text", [None, 3, b"x[B,D] @ w[D,K] -> y[B,K]"])
def test_what_is_not_text_is_quoted(text):
    with pytest.raises(NotationError) as error:
        parse_product(text, "@")
    assert str(error.value) == f"{text!r} is not text: {FORM}"


def test_the_error_is_a_value_error():
    assert issubclass(NotationError, ValueError)
