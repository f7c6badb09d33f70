"""Test derivatives of random layers: predicted == counted, in every order and for several directions at once."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st
from torch import func
from torch.autograd import forward_ad
from torch.utils.flop_counter import FlopCounterMode

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import conv, evaluate, flops, matmul, training_step
from flopbook.predict.derivatives import (
    ORDERS,
    gradient_penalty,
    hessian_vector,
    jacobian,
    jvp,
    per_sample,
    zeroth_order,
)

# PyTorch's own forward mode is written in TorchScript, and says so where it is first used
pytestmark = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")

DRAWN = settings(max_examples=10)
DTYPES = [torch.float32, torch.float64, torch.bfloat16]


@dataclass(frozen=True)
class Layers:
    """Holds widths, samples, and what stands behind each layer."""

    widths: tuple[int, ...]
    samples: int
    directions: int = 1
    bias: bool = False
    curved: bool = True  # whether an activation stands behind each layer but the last
    loss_curved: bool = True
    dtype: torch.dtype = torch.float32

    @property
    def sizes(self):
        letters = dict(B=self.samples, P=self.directions)
        return letters | {f"W{number}": width for number, width in enumerate(self.widths)}

    @property
    def linear(self):
        inner = [] if self.curved else [f"h{number}" for number in range(1, len(self.widths) - 1)]
        return [*inner, *([] if self.loss_curved else [f"h{len(self.widths) - 1}"])]

    @property
    def step(self):
        """Predict the step of the layers, which no derivative is taken of yet."""
        numbers = range(len(self.widths) - 1)
        layers = [matmul(f"h{i}[B,W{i}] @ w{i}[W{i},W{i + 1}] -> h{i + 1}[B,W{i + 1}]") for i in numbers]
        return training_step(*layers, data="h0")

    def weights(self, *more):
        return tuple(torch.ones(*more, *shape, dtype=self.dtype) for shape in pairwise(self.widths))

    def data(self):
        return torch.ones(self.samples, self.widths[0], dtype=self.dtype)

    def run(self, weights, h):
        for number, weight in enumerate(weights, 1):
            h = torch.nn.functional.linear(h, weight.T, torch.ones_like(weight[0])) if self.bias else h @ weight
            h = h.tanh() if self.curved and number < len(weights) else h
        return h

    def loss(self, weights):
        out = self.run(weights, self.data())
        return out.square().mean() if self.loss_curved else out.sum()


@st.composite
def layers(draw):
    return Layers(
        widths=tuple(draw(st.lists(st.integers(1, 13), min_size=2, max_size=5))),
        samples=draw(st.integers(1, 7)),
        directions=draw(st.integers(1, 5)),
        bias=draw(st.booleans()),
        curved=draw(st.booleans()),
        loss_curved=draw(st.booleans()),
        dtype=draw(st.sampled_from(DTYPES)),
    )


def reverse_over_reverse(one, weights, direction):
    return func.vjp(func.grad(one.loss), weights)[1](direction)


def forward_over_reverse(one, weights, direction):
    return func.jvp(func.grad(one.loss), (weights,), (direction,))


def reverse_over_forward(one, weights, direction):
    return func.grad(lambda at: func.jvp(one.loss, (at,), (direction,))[1])(weights)


IN_TORCH = dict(zip(ORDERS, (reverse_over_reverse, forward_over_reverse, reverse_over_forward), strict=True))


def counts(run):
    with FlopCount() as counted:
        run()
    return counted


def agree(predicted, one, run):
    table = compare(predicted, counts(run), sizes=one.sizes)
    assert table.agrees, (one, table)


@DRAWN
@given(one=layers())
@example(one=Layers((5, 1), 1, directions=3))
def test_a_jvp_runs_two_tangents_for_each_product(one):
    agree(jvp(one.step), one, lambda: func.jvp(one.loss, (one.weights(),), (one.weights(),)))
    several = jvp(one.step, letter="P")
    push = func.vmap(lambda *at: func.jvp(one.loss, (one.weights(),), (at,))[1])
    agree(several, one, lambda: push(*one.weights(one.directions)))
    saved = flops(jvp(one.step)) - flops(jvp(one.step, zeros=False))
    assert evaluate(saved - flops(one.step.forward[0]), one.sizes) == 0


@pytest.mark.parametrize("order", ORDERS)
@DRAWN
@given(one=layers())
@example(one=Layers((5, 1), 1, directions=3))
@example(one=Layers((3, 7, 2), 5, loss_curved=False))
def test_a_hessian_vector_product_agrees(order, one):
    predicted = hessian_vector(one.step, order, linear=one.linear)
    agree(predicted, one, lambda: IN_TORCH[order](one, one.weights(), one.weights()))


@dataclass(frozen=True)
class Loss:
    """Holds a loss of some weights, whatever its layers."""

    loss: object


@pytest.mark.parametrize("order", ORDERS)
def test_attention_agrees_where_results_meet_results(order):
    step = training_step(
        matmul("x[B,T,D] @ wq[D,E] -> q[B,T,E]"),
        matmul("z[B,S,D] @ wk[D,E] -> k[B,S,E]"),
        matmul("z[B,S,D] @ wv[D,F] -> v[B,S,F]"),
        matmul("q[B,T,E] @ k[B,S,E] -> s[B,T,S]"),
        matmul("s[B,T,S] @ v[B,S,F] -> o[B,T,F]"),
        data=["x", "z"],
    )
    x, z, weights = torch.ones(3, 5, 7), torch.ones(3, 4, 7), tuple(torch.ones(7, width) for width in (2, 2, 6))

    def loss(at):
        q, k, v = x @ at[0], z @ at[1], z @ at[2]
        return ((q @ k.mT).softmax(-1) @ v).square().mean()

    counted = counts(lambda: IN_TORCH[order](Loss(loss), weights, weights))
    assert compare(hessian_vector(step, order), counted, sizes=dict(B=3, T=5, D=7, S=4, E=2, F=6)).agrees


@pytest.mark.parametrize("order", ORDERS)
def test_a_convolution_of_the_data_runs_one_product_more_in_reverse_over_reverse(order):
    step = training_step(conv("x[B,C,X] * w1[G,C,R] -> h[B,G,P]"), conv("h[B,G,P] * w2[K,G,Q] -> y[B,K,O]"), data="x")
    x, weights = torch.ones(2, 3, 11), (torch.ones(5, 3, 3), torch.ones(4, 5, 2))

    def loss(at):
        return torch.conv1d(torch.conv1d(x, at[0]).tanh(), at[1]).square().mean()

    counted = counts(lambda: IN_TORCH[order](Loss(loss), weights, weights))
    sizes = dict(B=2, C=3, X=11, G=5, R=3, P=9, K=4, Q=2, O=8)
    more = evaluate(flops(step.forward[0]), sizes) * (order == ORDERS[0])
    assert counted.total == evaluate(hessian_vector(step, order).flops, sizes) + more


@pytest.mark.parametrize("order", ORDERS)
def test_several_directions_share_the_first_pass(order):
    one = Layers((3, 5, 7, 11), 13, directions=4)
    push = func.vmap(lambda *at: IN_TORCH[order](one, one.weights(), at))
    agree(hessian_vector(one.step, order, letter="P"), one, lambda: push(*one.weights(4)))


@DRAWN
@given(one=layers())
def test_forgetting_the_first_layer_disagrees(one):
    counted = counts(lambda: reverse_over_reverse(one, one.weights(), one.weights()))
    everything = hessian_vector(training_step(*one.step.forward), linear=one.linear)
    assert not compare(everything, counted, sizes=one.sizes).agrees


@DRAWN
@given(one=layers())
def test_gradients_of_each_sample_take_as_many_flops_as_their_sum(one):
    def one_sample(weights, x):
        return one.run(weights, x[None]).square().mean()

    agree(per_sample(one.step), one, lambda: func.vmap(func.grad(one_sample), (None, 0))(one.weights(), one.data()))
    assert per_sample(one.step).flops == one.step.flops


@DRAWN
@given(one=layers(), all_of_it=st.booleans())
def test_a_gradient_penalty_agrees(one, all_of_it):
    inner = [name for name in one.linear if name != f"h{len(one.widths) - 1}"]
    predicted = gradient_penalty(one.step, linear=inner)

    def run():
        x, weights = one.data().requires_grad_(), [weight.requires_grad_() for weight in one.weights()]
        (slope,) = torch.autograd.grad(one.run(weights, x).sum(), x, create_graph=True)
        penalty = (slope.square().sum(1) - 1).square().mean()
        penalty.backward() if all_of_it else torch.autograd.grad(penalty, weights, allow_unused=True)

    if all_of_it and one.curved and len(one.widths) > 2:  # the data are a leaf, and get a gradient that nobody reads
        counted = counts(run)
        more = flops(one.step.forward[0])
        assert counted.total == evaluate(predicted.flops + more, one.sizes)
    else:
        agree(predicted, one, run)


@DRAWN
@given(one=layers())
def test_a_jacobian_by_rows_and_by_columns_agrees(one):
    def each(transform):
        return lambda: func.vmap(transform(lambda x: one.run(one.weights(), x)))(one.data())

    for by, transform, many in (("rows", func.jacrev, one.widths[-1]), ("columns", func.jacfwd, one.widths[0])):
        table = compare(jacobian(one.step, by, letter="P"), counts(each(transform)), sizes={**one.sizes, "P": many})
        assert table.agrees, (by, one, table)


@DRAWN
@given(one=layers(), steps=st.integers(1, 4))
def test_zeroth_order_runs_forward_passes_alone(one, steps):
    def run():
        with torch.no_grad():
            for _ in range(steps):
                one.loss(one.weights()), one.loss(one.weights())

    counted = counts(run)
    assert counted.total == counted.forward == evaluate(zeroth_order(one.step, steps=steps), one.sizes)


def test_other_ways_to_write_them_agree():
    one = Layers((3, 5, 7, 11), 13)

    def dual():
        with forward_ad.dual_level():
            one.loss([forward_ad.make_dual(*pair) for pair in zip(one.weights(), one.weights(), strict=True)])

    def twice_backward():
        weights = [weight.requires_grad_() for weight in one.weights()]
        slopes = torch.autograd.grad(one.loss(weights), weights, create_graph=True)
        sum(slope.sum() for slope in slopes).backward()

    ones = one.weights()
    old = lambda: torch.autograd.functional.vhp(lambda *at: one.loss(at), ones, ones)  # noqa: E731
    agree(jvp(one.step), one, dual)
    assert profile_flops(dual).total == evaluate(jvp(one.step).flops, one.sizes)
    for run in (twice_backward, old):
        agree(hessian_vector(one.step), one, run)
        assert profile_flops(run).total == evaluate(hessian_vector(one.step).flops, one.sizes)


def test_the_profiler_counts_what_functorch_wraps_a_second_time():
    one = Layers((3, 5, 7, 11), 13)

    def run():
        func.jvp(one.loss, (one.weights(),), (one.weights(),))

    with FlopCounterMode(display=False) as theirs:
        run()
    predicted = evaluate(jvp(one.step).flops, one.sizes)
    assert theirs.get_total_flops() == predicted
    assert profile_flops(run).total == predicted + evaluate(flops(one.step.forward), one.sizes)
