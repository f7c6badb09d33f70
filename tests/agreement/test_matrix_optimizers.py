"""Test updates that multiply matrices: predicted == counted, at sizes drawn at random."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopbook.measure import FlopCount
from flopbook.predict import D, K, evaluate, matmul
from flopbook.predict.matrix_optimizers import (
    adafactor,
    inverse_root,
    lbfgs,
    muon,
    newton_schulz,
    shampoo,
    sides,
    soap,
)
from flopbook.predict.models import decoder_block

few = settings(max_examples=20)
side = st.integers(1, 9)


def count_step(updates, parameters, before=1):
    """Count an update after some others, and the numbers that are kept."""
    for parameter in parameters:
        parameter.grad = torch.ones_like(parameter)
    for _ in range(before):
        updates.step()
    with FlopCount() as counted:
        updates.step()
    assert not counted.uncounted
    kept = (value for state in updates.state.values() for value in state.values() if isinstance(value, torch.Tensor))
    return counted.total, counted.pointwise["optimizer"], sum(value.numel() for value in kept)


def predicted(update):
    return update.contractions, update.pointwise, update.state


def muon_of(*shape, **options):
    parameter = torch.ones(shape, requires_grad=True)
    return count_step(torch.optim.Muon([parameter], **options), [parameter])


@few
@given(rows=side, columns=side, steps=st.integers(0, 7), nesterov=st.booleans())
def test_muon(rows, columns, steps, nesterov):
    seen = muon_of(rows, columns, ns_steps=steps, nesterov=nesterov)
    assert seen == predicted(muon(rows, columns, steps=steps, nesterov=nesterov))


@few
@given(rows=side, columns=side, steps=st.integers(1, 4))
def test_muon_counted_with_another_number_of_steps_or_untransposed_disagrees(rows, columns, steps):
    seen = muon_of(rows, columns, ns_steps=steps)
    assert seen[0] != newton_schulz(rows, columns, steps + 1)
    if rows > columns:
        untransposed = evaluate(steps * (4 * D**2 * K + 2 * D**3), dict(D=rows, K=columns))
        assert seen[0] < untransposed


def test_the_formula_in_letters_is_that_of_numbers():
    in_letters = newton_schulz(D, K)
    for sizes in (dict(D=3, K=7), dict(D=7, K=3), dict(D=4, K=4)):
        assert evaluate(in_letters, sizes) == newton_schulz(sizes["D"], sizes["K"])


@pytest.mark.parametrize("shape", [(5,), (2, 3, 5)])
def test_muon_refuses_what_is_not_a_matrix_on_paper_as_in_torch(shape):
    with pytest.raises(ValueError, match="only supports 2D"):
        torch.optim.Muon([torch.ones(shape, requires_grad=True)])
    with pytest.raises(ValueError, match="is not the shape of one"):
        muon(*shape)


@few
@given(
    shape=st.lists(side, min_size=1, max_size=3),
    weight_decay=st.booleans(),
    maximize=st.booleans(),
    foreach=st.booleans(),
)
def test_adafactor(shape, weight_decay, maximize, foreach):
    parameter = torch.ones(shape, requires_grad=True)
    options = dict(weight_decay=0.1 * weight_decay, maximize=maximize, foreach=foreach)
    seen = count_step(torch.optim.Adafactor([parameter], **options), [parameter])
    assert seen == predicted(adafactor(*shape, weight_decay=weight_decay, maximize=maximize))


@settings(max_examples=8)
@given(numbers=st.integers(2, 9), history=st.integers(1, 4))
def test_an_iteration_of_lbfgs(numbers, history):
    parameter = torch.ones(numbers, dtype=torch.float64, requires_grad=True)
    slopes = torch.linspace(1, 3, numbers, dtype=torch.float64)
    updates = torch.optim.LBFGS([parameter], lr=0.01, max_iter=1, history_size=history, tolerance_change=0)

    def closure():
        parameter.grad = slopes * parameter.detach()
        return parameter.detach()[0]

    for _ in range(history + 1):
        updates.step(closure)
    with FlopCount() as counted:
        updates.step(closure)
    expected = lbfgs(numbers, history)
    assert counted.total == expected.contractions
    assert counted.pointwise["optimizer"] == expected.pointwise
    (state,) = updates.state.values()
    vectors = [*state["old_dirs"], *state["old_stps"], state["d"], state["prev_flat_grad"]]
    assert sum(vector.numel() for vector in vectors) == expected.state


def shampoo_step(p, left, right, roots):
    left += p.grad @ p.grad.mT
    right += p.grad.mT @ p.grad
    p -= 0.1 * (roots[0] @ p.grad @ roots[1])


def soap_step(p, mean, squares, left, right, bases):  # noqa: PLR0913, PLR0917  (all that SOAP keeps)
    left.lerp_(p.grad @ p.grad.mT, 0.05)
    right.lerp_(p.grad.mT @ p.grad, 0.05)
    turned = bases[0].mT @ p.grad @ bases[1]
    mean.lerp_(turned, 0.1)
    squares.mul_(0.95).addcmul_(turned, turned, value=0.05)
    p -= 0.01 * (bases[0] @ (mean / (squares.sqrt() + 1e-8)) @ bases[1].mT)


@few
@given(rows=side, columns=side)
def test_shampoo_and_soap(rows, columns):
    p = torch.ones(rows, columns)
    p.grad = torch.ones(rows, columns)
    factors, turns = ([torch.eye(rows), torch.eye(columns)] for _ in range(2))
    moments = [p.clone(), p.clone()]
    for step, moved, update in (
        (shampoo_step, [], shampoo(rows, columns)),
        (soap_step, moments, soap(rows, columns)),
    ):
        with FlopCount() as counted:
            step(p, *moved, *factors, turns)
        kept = sum(tensor.numel() for tensor in (*moved, *factors, *turns))
        assert (counted.total, counted.pointwise["forward"], kept) == predicted(update)


def test_a_turned_matrix_takes_the_same():
    for update in (shampoo, soap):
        assert update(K, D) == update(D, K)


@pytest.mark.parametrize("power", [3, 6, 7, 12])
def test_an_inverse_root_that_is_not_of_a_power_of_two_is_refused(power):
    with pytest.raises(ValueError, match=f"power={power} is not a power of two: write 2, 4 or 8"):
        inverse_root(D, 10, power)


def coupled_newton(matrix, steps, power):
    """Return the inverse root of a matrix, by products alone."""
    unit = torch.eye(len(matrix), dtype=matrix.dtype)
    scale = (1 + power) / (2 * matrix.norm())
    root, rest = scale ** (1 / power) * unit, scale * matrix
    for _ in range(steps):
        factor = ((power + 1) * unit - rest) / power
        root, raised = root @ factor, factor
        for _ in range(power.bit_length() - 1):
            raised = raised @ raised
        rest = raised @ rest
    return root


@few
@given(n=st.integers(1, 6), steps=st.integers(0, 20), power=st.sampled_from([1, 2, 4, 8]))
def test_an_inverse_root(n, steps, power):
    matrix = torch.eye(n, dtype=torch.float64) + torch.ones(n, n, dtype=torch.float64)
    with FlopCount() as counted:
        coupled_newton(matrix, steps, power)
    assert counted.total == inverse_root(n, steps, power)
    root = coupled_newton(matrix, 40, power)
    torch.testing.assert_close(torch.linalg.matrix_power(root, power) @ matrix, torch.eye(n, dtype=torch.float64))


@pytest.mark.parametrize("gated", [False, True])
def test_all_matrices_of_a_block(gated):
    sizes = dict(D=6, H=2, G=1, E=4, F=7)
    block = decoder_block(gated)
    weights = [product for product in block.forward if product.right.name.startswith("w")]
    on_paper = sum(evaluate(newton_schulz(*sides(product)), sizes) for product in weights)
    inputs, outputs = dict(wo=8, w2=7), dict(wq=8, wk=4, wv=4, w1=7, wg=7)
    names = [product.right.name for product in weights]
    layers = nn.ModuleList(nn.Linear(inputs.get(name, 6), outputs.get(name, 6), bias=False) for name in names)
    assert on_paper == count_step(torch.optim.Muon(layers.parameters()), list(layers.parameters()))[0]
    with pytest.raises(ValueError, match="is not a weight"):
        sides(next(product for product in block.forward if product.right.name == "ks"))


def test_sides_are_what_a_product_sums_over_and_what_it_makes():
    assert sides(matmul("o[B,T,H,E] @ wo[H,E,D] -> y[B,T,D]"))[1] == D
