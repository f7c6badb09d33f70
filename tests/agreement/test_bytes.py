"""Test that the bytes of a report are those that the intensity on paper divides by."""

from fractions import Fraction

import pytest
import torch
from torch import nn

from flopbook.measure import Report
from flopbook.predict import evaluate, matmul, training_step
from flopbook.predict.roofline import arithmetic_intensity

FORMATS = [(torch.float32, 4), (torch.bfloat16, 2)]


class Products(nn.Module):
    """Holds two matrices, multiplied one after the other."""

    def __init__(self, D, H, K, dtype):
        super().__init__()
        self.first = nn.Linear(D, H, bias=False, dtype=dtype)
        self.second = nn.Linear(H, K, bias=False, dtype=dtype)

    def forward(self, x):
        return self.second(self.first(x))


def intensity_of(report, products=("aten::mm",)):
    """Divide FLOPs by bytes, of all products and of nothing else."""
    done = [part for part in report.work if part.operator in products]
    return Fraction(sum(part.flops for part in done), sum(part.bytes for part in done))


@pytest.mark.parametrize(("dtype", "size"), FORMATS)
@pytest.mark.parametrize("sizes", [dict(B=7, D=5, H=3, K=2), dict(B=1, D=13, H=1, K=4), dict(B=64, D=32, H=48, K=16)])
def test_the_intensity_of_products_forward_and_backward(sizes, dtype, size):
    h = matmul("x[B,D] @ w1[D,H] -> h[B,H]")
    y = matmul("h[B,H] @ w2[H,K] -> y[B,K]")
    step = training_step(h, y, data="x")
    with torch.device("meta"):
        model = Products(sizes["D"], sizes["H"], sizes["K"], dtype)
        x, dy = (torch.empty(sizes["B"], sizes[width], dtype=dtype) for width in "DK")
    forward = Report.measure(lambda: model(x), model=model)
    both = Report.measure(lambda: model(x).backward(dy), model=model)
    assert intensity_of(forward) == evaluate(arithmetic_intensity(step.forward, size), sizes)
    assert intensity_of(both) == evaluate(arithmetic_intensity([*step.forward, *step.backward], size), sizes)


def test_the_intensity_of_a_product_with_a_bias_is_another():
    sizes = dict(B=7, D=5, K=3)
    with torch.device("meta"):
        model, x = nn.Linear(5, 3), torch.empty(7, 5)
    report = Report.measure(lambda: model(x), model=model)
    on_paper = evaluate(arithmetic_intensity(matmul("x[B,D] @ w[D,K] -> y[B,K]"), 4), sizes)
    assert intensity_of(report, ("aten::addmm",)) != on_paper
