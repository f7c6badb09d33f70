"""Test utilization, arithmetic intensity and the roofline."""

from fractions import Fraction

import pytest
import sympy

from flopbook.predict import B, D, K, evaluate, matmul, training_step
from flopbook.predict.roofline import arithmetic_intensity, attainable_flop_per_s, least_seconds, mfu

PRODUCT = matmul("x[B,D] @ w[D,K] -> y[B,K]")


def test_utilization_is_the_share_of_the_peak():
    assert mfu(100, seconds=2, peak_flop_per_s=200) == 0.25


def test_utilization_takes_formulas():
    seconds, peak = sympy.symbols("t P", positive=True)
    assert mfu(2 * B * D * K, seconds, peak) == 2 * B * D * K / (seconds * peak)


@pytest.mark.parametrize("wrong", [0, -1.0, float("nan"), float("inf"), "1", None, True, sympy.Integer(0), sympy.zoo])
@pytest.mark.parametrize("name", ["model_flops", "seconds", "peak_flop_per_s"])
def test_a_utilization_of_nothing_is_refused(name, wrong):
    with pytest.raises(ValueError) as error:
        mfu(**{"model_flops": 1, "seconds": 1, "peak_flop_per_s": 1, name: wrong})
    assert str(error.value) == f"{name}={wrong!r} is out of range: write a positive number"


@pytest.mark.parametrize("size", [1, 2, 4])
def test_intensity_is_flops_over_bytes(size):
    sizes = {"B": 3, "D": 5, "K": 7}
    moved = size * (3 * 5 + 5 * 7 + 3 * 7)
    assert evaluate(arithmetic_intensity(PRODUCT, size), sizes) == Fraction(2 * 3 * 5 * 7, moved)


def test_intensity_of_several_products_is_that_of_all_they_do():
    backward = training_step(PRODUCT).backward
    assert evaluate(arithmetic_intensity(backward, 4) - arithmetic_intensity(PRODUCT, 4), {"B": 3, "D": 5, "K": 7}) == 0
    two = [PRODUCT, matmul("y[B,K] @ v[K,C] -> z[B,C]")]
    sizes = {"B": 2, "D": 3, "K": 5, "C": 7}
    flops, numbers = 2 * (2 * 3 * 5 + 2 * 5 * 7), (6 + 15 + 10) + (10 + 35 + 14)
    assert evaluate(arithmetic_intensity(two, 2), sizes) == Fraction(flops, 2 * numbers)


@pytest.mark.parametrize("wrong", [0, "4"])
def test_no_bytes_are_refused(wrong):
    with pytest.raises(ValueError, match="is not a size: write a whole number of at least 1") as error:
        arithmetic_intensity(PRODUCT, wrong)
    assert str(error.value).startswith(f"bytes_per_number={wrong!r} ")


@pytest.mark.parametrize(("wrong", "quoted"), [("x[B,D]", "'x'"), (None, "None"), ([PRODUCT, "y"], "'y'")])
def test_what_is_not_a_product_is_quoted(wrong, quoted):
    with pytest.raises(TypeError) as error:
        arithmetic_intensity(wrong, 4)
    assert str(error.value).startswith(f"{quoted} is not a product: write matmul(")


def test_no_products_are_refused():
    with pytest.raises(ValueError) as error:
        arithmetic_intensity([], 4)
    assert str(error.value) == "no products are given: write arithmetic_intensity(step.forward, 4)"


@pytest.mark.parametrize("name", ["intensity", "peak_flop_per_s", "bytes_per_s"])
def test_a_roof_of_nothing_is_refused(name):
    with pytest.raises(ValueError) as error:
        attainable_flop_per_s(**({"intensity": 1, "peak_flop_per_s": 100, "bytes_per_s": 10} | {name: -1}))
    assert str(error.value) == f"{name}=-1 is out of range: write a positive number"


@pytest.mark.parametrize(("intensity", "reached"), [(1, 10), (4, 40), (10, 100), (1000, 100)])
def test_the_roof_rises_to_the_peak(intensity, reached):
    assert attainable_flop_per_s(intensity, peak_flop_per_s=100, bytes_per_s=10) == reached


def test_the_roof_takes_formulas():
    intensity = sympy.Symbol("I", positive=True)
    roof = attainable_flop_per_s(intensity, 100, 10)
    assert [roof.subs(intensity, value) for value in (3, 30)] == [30, 100]


def test_the_slower_of_two_decides():
    assert least_seconds(6, 4, peak_flop_per_s=2, bytes_per_s=4) == 3
    assert least_seconds(6, 40, peak_flop_per_s=2, bytes_per_s=4) == 10
    assert least_seconds(6 * B, 4, peak_flop_per_s=2, bytes_per_s=4) == sympy.Max(3 * B, 1)


def test_negative_work_is_refused():
    with pytest.raises(ValueError, match="flops=-1 is out of range: write a positive number"):
        least_seconds(-1, 1, 1, 1)
