"""Test fits of scaling laws: what made the losses comes back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.labs.scaling_fits import fit_law, fit_power, fit_valley
from flopbook.predict.scaling import Law, published_law

some = settings(max_examples=25, deadline=None)


@some
@given(st.floats(1e3, 1e12), st.floats(0.5, 4), st.floats(0.01, 0.5))
def test_the_lowest_point_of_a_parabola_comes_back(lowest, loss, curvature):
    sizes = [lowest * factor for factor in (0.2, 0.4, 0.9, 2, 7)]
    valley = fit_valley(sizes, [loss + curvature * np.log(size / lowest) ** 2 for size in sizes])
    assert valley.parameters == pytest.approx(lowest, rel=1e-6) and valley.loss == pytest.approx(loss)
    assert valley.at(2 * lowest) == pytest.approx(loss + curvature * np.log(2) ** 2)


@some
@given(st.floats(0.1, 0.9), st.floats(1e-3, 10))
def test_the_exponent_of_a_power_law_comes_back(exponent, factor):
    budgets = [1e17, 3e18, 1e21]
    power = fit_power(budgets, [factor * budget**exponent for budget in budgets])
    assert power.exponent == pytest.approx(exponent) and power.factor == pytest.approx(factor, rel=1e-6)


@some
@given(st.floats(0.2, 1.2), st.floats(0.2, 1.2), st.floats(0, 2), st.floats(0.2, 5), st.floats(0.2, 5))
def test_the_law_that_made_the_losses_comes_back(a, b, E, left_n, left_d):
    law = Law(E, left_n * 1e8**a, left_d * 1e10**b, a, b)
    runs = [(n, d) for n in (1e7, 1e8, 3e8, 1e9) for d in (1e9, 1e10, 1e11)]
    fitted = fit_law(*zip(*runs, strict=True), [law.loss(*run) for run in runs])
    assert (fitted.a, fitted.b) == pytest.approx((a, b), rel=0.02)
    for run in runs:
        assert fitted.loss(*run) == pytest.approx(law.loss(*run), rel=1e-3)


def test_isoflop_parabolas_find_the_exponent_of_the_law_within_a_hundredth():
    law, budgets = published_law("Besiroglu"), [1e19, 1e20, 1e21]
    valleys = []
    for budget in budgets:
        best = law.optimum(budget).parameters
        sizes = [best * factor for factor in (0.25, 0.5, 1, 2, 4)]
        valleys.append(fit_valley(sizes, [law.loss(size, budget / 6 / size) for size in sizes]))
    found = fit_power(budgets, [valley.parameters for valley in valleys]).exponent
    assert found == pytest.approx(law.b / (law.a + law.b), abs=0.01)


def test_what_cannot_be_fitted_is_refused():
    with pytest.raises(ValueError, match="have no valley: give runs on both sides"):
        fit_valley([1, 10, 100], [1, 2, 1])
    with pytest.raises(ValueError, match=r"parameters=\[1, 10\] are 2, beside 2 of the other: .* at least 3"):
        fit_valley([1, 10], [1, 2])
    with pytest.raises(ValueError, match="are 2, beside 3 of the other"):
        fit_power([1, 10], [1, 2, 3])
    with pytest.raises(ValueError, match="budgets=-1 is out of range"):
        fit_power([-1, 10], [1, 2])
    with pytest.raises(ValueError, match="values=0 is out of range"):
        fit_power([1, 10], [1, 0])
    with pytest.raises(ValueError, match=r"budgets=\[10, 10\] are fewer than 2 different ones: give more runs"):
        fit_power([10, 10], [1, 2])
    with pytest.raises(ValueError, match=r"parameters=\[10, 10, 20\] are fewer than 3 different ones"):
        fit_valley([10, 10, 20], [2, 2, 1])
    with pytest.raises(ValueError, match=r"parameters=\[1, 1, 2, 2, 1\] are fewer than 3 different ones"):
        fit_law([1, 1, 2, 2, 1], [1, 2, 3, 4, 5], [5, 4, 3, 2, 1])
    with pytest.raises(ValueError, match="no law of this form falls with both"):
        fit_law([1, 2, 4, 8, 16], [1, 2, 4, 8, 16], [1, 2, 4, 8, 16])


def test_what_is_not_several_numbers_is_quoted():
    with pytest.raises(TypeError, match="parameters=5 does not hold several"):
        fit_valley(5, 6)
    with pytest.raises(ValueError, match="budget='x'"):
        fit_power([1, 10], [1, 10]).at("x")
    with pytest.raises(ValueError, match="parameters=0"):
        fit_valley([1, 10, 100], [2, 1, 2]).at(0)
