"""Test single products: predicted == counted == profiled, for any contraction."""

from math import prod

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import evaluate, flops, matmul, training_step

PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")
SIZES = [(1, 1, 1), (1, 7, 1), (2, 3, 5), (7, 11, 13), (64, 32, 16), (97, 1, 101), (128, 257, 2)]


def operands(device, B, D, K, *, data_needs):
    x = torch.ones(B, D, device=device, requires_grad=data_needs)
    return x, torch.ones(D, K, device=device, requires_grad=True)


@pytest.mark.parametrize("data_needs", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_predicted_counted_and_profiled_agree(device, sizes, data_needs):
    x, w = operands(device, *sizes, data_needs=data_needs)
    step = training_step(PRODUCT, data=() if data_needs else "x")
    with FlopCount() as counted:
        (x @ w).square().mean().backward()
    profiled = profile_flops(lambda: (x @ w).square().mean().backward())
    table = compare(step, counted, profiled, sizes=dict(zip("BDK", sizes, strict=True)))
    assert table.agrees, table
    assert counted.total == profiled.total == (2 + data_needs) * 2 * prod(sizes)


@pytest.mark.parametrize("data_needs", [False, True])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_a_forgotten_or_invented_gradient_of_the_data_disagrees(device, sizes, data_needs):
    x, w = operands(device, *sizes, data_needs=data_needs)
    wrong = training_step(PRODUCT, data="x" if data_needs else ())
    with FlopCount() as counted:
        (x @ w).square().mean().backward()
    assert not compare(wrong, counted, sizes=dict(zip("BDK", sizes, strict=True))).agrees


@st.composite
def contractions(draw):
    """Draw a contraction of two tensors as an einsum and as a product, with sizes.

    Each letter is a batch axis, of the left operand and the result, of the right and the result, or summed over.
    """
    letters = "abcdefgh"[: draw(st.integers(2, 6))]
    roles = {letter: draw(st.sampled_from(["batch", "left", "right", "summed"])) for letter in letters}
    sizes = {letter: draw(st.integers(1, 7)) for letter in letters}
    assume(any(sizes[letter] > 1 for letter, role in roles.items() if role == "summed"))
    order = [draw(st.permutations(letters)) for _ in range(3)]
    missing = "right", "left", "summed"
    axes = ["".join(letter for letter in o if roles[letter] != out) for o, out in zip(order, missing, strict=True)]
    return axes, sizes


def written(axes):
    names = zip("xwy", axes, strict=True)
    return "{} @ {} -> {}".format(*(f"{name}[{','.join(letters)}]" for name, letters in names))


NEEDS = st.sampled_from([(True, True), (True, False), (False, True), (False, False)])


def predict_and_count(device, drawn, needs):
    axes, sizes = drawn
    x, w = (
        torch.ones([sizes[letter] for letter in letters], device=device, requires_grad=need)
        for letters, need in zip(axes, needs, strict=False)
    )
    step = training_step(matmul(written(axes)), data=[name for name, need in zip("xw", needs, strict=True) if not need])
    with FlopCount() as counted:
        y = torch.einsum(f"{axes[0]},{axes[1]}->{axes[2]}", x, w)
        if any(needs):
            y.square().sum().backward()
    return step, counted


@given(drawn=contractions(), needs=NEEDS)
def test_any_contraction_agrees(device, drawn, needs):
    step, counted = predict_and_count(device, drawn, needs)
    sizes = drawn[1]
    assert compare(step, counted, sizes=sizes).agrees
    assert counted.forward == evaluate(flops(step.forward), sizes) == 2 * prod(sizes.values())


@given(drawn=contractions(), needs=NEEDS, number=st.integers(0, 2))
def test_a_contraction_with_a_product_forgotten_disagrees(device, without, drawn, needs, number):
    step, counted = predict_and_count(device, drawn, needs)
    assert not compare(without(step, number), counted, sizes=drawn[1]).agrees


@given(drawn=contractions(), number=st.integers(0, 5))
def test_a_contraction_with_a_letter_forgotten_disagrees(device, drawn, number):
    _, counted = predict_and_count(device, drawn, (False, False))
    larger = [size for size in drawn[1].values() if size > 1]
    assert counted.forward != 2 * prod(drawn[1].values()) // larger[number % len(larger)]
