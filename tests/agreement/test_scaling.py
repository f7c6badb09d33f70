"""Test what runs take: predicted == counted for whole trainings, and for training and use together."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import axis, evaluate, flops, matmul, training_step
from flopbook.predict.scaling import Run
from flopbook.tracing import trace

some = settings(max_examples=15, deadline=None)
small = st.integers(1, 9)
PERCEPTRON = training_step(matmul("x[B,X] @ w1[X,H] -> h[B,H]"), matmul("h[B,H] @ w2[H,K] -> y[B,K]"), data="x")


class Bigram(nn.Module):
    """Predicts the next token from the last one: a table that is looked up, and layers."""

    def __init__(self, vocabulary, width, layers):
        super().__init__()
        self.table = nn.Embedding(vocabulary, width)
        self.layers = nn.Sequential(*(nn.Linear(width, width, bias=False) for _ in range(layers)))
        self.output = nn.Linear(width, vocabulary, bias=False)

    def forward(self, tokens):
        return self.output(self.layers(self.table(tokens)))

    @property
    def in_products(self):
        """The parameters that are operands of a product."""
        return sum(weight.numel() for weight in self.parameters()) - self.table.weight.numel()


@some
@given(st.data(), st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_training_and_use_take_what_a_run_says(data, dtype):
    vocabulary, width, layers, trained, served = (data.draw(small) for _ in range(5))
    model = Bigram(vocabulary, width, layers).to("meta", dtype)
    run = Run(model.in_products, trained, served)
    with FlopCount() as training:
        model(torch.zeros(trained, dtype=torch.long, device="meta")).sum().backward()
    with FlopCount() as use, torch.no_grad():
        model(torch.zeros(served, dtype=torch.long, device="meta"))
    assert (training.total, use.total) == (run.training, run.serving)
    assert training.total + use.total == run.total


def test_the_model_itself_writes_the_formula_of_its_run_and_a_profiler_confirms_it():
    traced = trace(
        lambda V, H: Bigram(V, H, 1),
        inputs=lambda D: torch.empty(D, dtype=torch.long),
        sizes=dict(V=11, H=5, D=7),
    )
    H, V, D = axis("H"), axis("V"), axis("D")
    assert (traced.forward + traced.backward - Run(H * H + H * V, D).training).expand() == 0
    model, tokens = Bigram(11, 5, 1), torch.zeros(7, dtype=torch.long)
    profiled = profile_flops(lambda: model(tokens).sum().backward()).total
    assert profiled == Run(model.in_products, 7).training == 6 * 7 * (5 * 5 + 5 * 11)


@some
@given(st.data())
def test_a_perceptron_on_data_takes_less_than_six_for_each_parameter(data):
    B, X, H, K, steps = (data.draw(small) for _ in range(5))
    w1, w2 = (torch.zeros(sizes, device="meta", requires_grad=True) for sizes in ((X, H), (H, K)))
    with FlopCount() as counted:
        for _ in range(steps):
            (torch.relu(torch.zeros(B, X, device="meta") @ w1) @ w2).square().mean().backward()
    samples = steps * B
    assert counted.total == samples * H * (4 * X + 6 * K) == Run(H * (X + K), samples).training - 2 * samples * X * H
    sizes = dict(B=samples, X=X, H=H, K=K)
    assert evaluate(flops(PERCEPTRON), sizes) == counted.total
