"""Define the programs that run under callgrind.

Each makes its tensors, and returns the functions that run its phases."""

import gc
import sys
from contextlib import contextmanager, nullcontext
from ctypes import CDLL
from functools import partial

import torch
from torch import nn
from torch.nn.functional import mse_loss, scaled_dot_product_attention


def product(B, D, K):
    """Run y = x @ w, and both gradients."""
    x, w = torch.randn(B, D, requires_grad=True), torch.randn(D, K, requires_grad=True)
    gradient = torch.randn(B, K)

    def run(phase):
        x.grad = w.grad = None
        with phase("forward"):
            y = x @ w
        with phase("backward"):
            y.backward(gradient)

    return run


def strassen(B, D, K):
    """Run one level of Strassen's product: sums of quarters, seven products, and sums of these."""
    x, w = torch.randn(B, D), torch.randn(D, K)
    (a, b), (c, d) = (row.chunk(2, 1) for row in x.chunk(2))
    (e, f), (g, h) = (row.chunk(2, 1) for row in w.chunk(2))

    def run(phase):
        with phase("sums before"):
            left = [a + d, c + d, a + b, c - a, b - d]
            right = [e + h, f - h, g - e, e + f, g + h]
        pairs = zip([left[0], left[1], a, d, *left[2:]], [right[0], e, *right[1:3], h, *right[3:]], strict=True)
        with phase("products"):
            one, two, three, four, five, six, seven = [first @ second for first, second in pairs]
        with phase("sums after"):
            one + four - five + seven, three + five, two + four, one - two + three + six

    return run


def sparse_product(D, K, B, stored):
    """Run w @ x with a weight in compressed sparse rows that stores as many numbers in each row."""
    columns = torch.stack([torch.randperm(D)[:stored].sort()[0] for _ in range(K)])
    w = torch.sparse_csr_tensor(stored * torch.arange(K + 1), columns.flatten(), torch.randn(K * stored), (K, D))
    x = torch.randn(D, B)

    def run(phase):
        with phase("forward"):
            w @ x

    return run


def layer(B, D, K):
    """Run a linear layer with a bias on a data tensor."""
    linear, x, gradient = nn.Linear(D, K), torch.randn(B, D), torch.randn(B, K)

    def run(phase):
        linear.zero_grad()
        with phase("forward"):
            y = linear(x)
        with phase("backward"):
            y.backward(gradient)

    return run


def convolution(C, K, X, R):
    """Run a square kernel over a padded square image, as large as its result, and both gradients."""
    layer = nn.Conv2d(C, K, R, padding=R // 2, bias=False)
    image, gradient = torch.randn(1, C, X, X, requires_grad=True), torch.randn(1, K, X, X)

    def run(phase):
        image.grad = None
        layer.zero_grad()
        with phase("forward"):
            y = layer(image)
        with phase("backward"):
            y.backward(gradient)

    return run


def attention(B, H, T, E, is_causal=False):
    """Run scaled dot-product attention in one kernel, and all three gradients."""
    q, k, v = (torch.randn(B, H, T, E, requires_grad=True) for _ in range(3))
    gradient = torch.randn(B, H, T, E)

    def run(phase):
        q.grad = k.grad = v.grad = None
        with phase("forward"):
            y = scaled_dot_product_attention(q, k, v, is_causal=is_causal)
        with phase("backward"):
            y.backward(gradient)

    return run


def causal_attention(B, H, T, E):
    """Run the same, where each token meets itself and those before it."""
    return attention(B, H, T, E, is_causal=True)


def pointwise(N):
    """Run one operator after the other on N numbers."""
    x, y = torch.rand(N), torch.rand(N) + 1

    def run(phase):
        for operator in (torch.add, torch.mul, torch.div):
            with phase(operator.__name__):
                operator(x, y)
        for operator in (torch.relu, torch.sqrt, torch.exp, torch.tanh):
            with phase(operator.__name__):
                operator(x)

    return run


def training_step(B, D, H, K):
    """Run two layers with biases and a ReLU: forward, loss, backward, SGD."""
    model = nn.Sequential(nn.Linear(D, H), nn.ReLU(), nn.Linear(H, K))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x, target = torch.randn(B, D), torch.randn(B, K)

    def run(phase):
        optimizer.zero_grad()
        with phase("forward"):
            y = model(x)
        with phase("loss"):
            loss = mse_loss(y, target)
        with phase("backward"):
            loss.backward()
        with phase("optimizer"):
            optimizer.step()

    return run


def updates(N):
    """Run the third update of N numbers by several optimizers, and AdamW's also in one kernel."""
    names = ["SGD", "RMSprop", "Adagrad", "Adam", "AdamW", "Adamax", "Adadelta", "NAdam"]
    made = {name: getattr(torch.optim, name) for name in names}
    made["AdamW, fused"] = partial(torch.optim.AdamW, fused=True)
    parameters = {name: torch.rand(N, requires_grad=True) for name in made}
    optimizers = {name: make([parameters[name]], lr=0.01, foreach=False) for name, make in made.items()}
    for name, optimizer in optimizers.items():
        parameters[name].grad = torch.rand(N)
        optimizer.step()

    def run(phase):
        for name, optimizer in optimizers.items():
            with phase(name):
                optimizer.step()

    return run


def main(marks, program, *sizes):
    """Run a program twice: to let the libraries set themselves up, and to be watched."""
    library = CDLL(marks)

    @contextmanager
    def watched(phase):
        library.begin()
        yield
        library.end(phase.encode())

    torch.manual_seed(0)
    run = globals()[program](*map(int, sizes))
    run(nullcontext)
    gc.disable()
    run(watched)


if __name__ == "__main__":
    main(*sys.argv[1:])
