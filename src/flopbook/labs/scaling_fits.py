"""Fit scaling laws to runs: a parabola for each budget, a power law through minima, a loss in two letters."""

from collections.abc import Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from flopbook.checks import positive, quoted, several
from flopbook.predict.scaling import Law

__all__ = ["Power", "Valley", "fit_law", "fit_power", "fit_valley"]

_STARTS, _STEPS = (0.1, 0.2, 0.4, 0.8, 1.6), 300  # exponents from which a fit starts, and how far it goes


class Valley(NamedTuple):
    """Holds a parabola in log N that was fitted to the losses of one budget.

    Attributes
    ----------
    parameters, loss : float
        Where its lowest point lies.
    curvature : float
        How fast the loss rises beside it: by `curvature` times the square of log(N / parameters).
    """

    parameters: float
    loss: float
    curvature: float

    def at(self, parameters: float) -> float:
        """Return the parabola's loss at a positive number of parameters."""
        positive("parameters", parameters)
        return self.loss + self.curvature * float(np.log(parameters / self.parameters)) ** 2


class Power(NamedTuple):
    """Holds the power law `factor` * C**`exponent`."""

    factor: float
    exponent: float

    def at(self, budget: float) -> float:
        """Return the value at a positive budget."""
        positive("budget", budget)
        return self.factor * budget**self.exponent


def fit_valley(parameters: Sequence[float], losses: Sequence[float]) -> Valley:
    """Fit a parabola in log N to runs of one budget, and find its lowest point.

    Parameters
    ----------
    parameters, losses : sequence of float
        N and the loss of each run: three or more.

    Raises
    ------
    TypeError
        If one is not several numbers; quotes it.
    ValueError
        If they are not as many, of fewer than three sizes, not positive, or lie on a hill.

    Notes
    -----
    Approach 2 of Hoffmann and others, *Training Compute-Optimal Large Language Models* (2022).

    Examples
    --------
    >>> valley = fit_valley([100, 1000, 10000], [3.0, 2.0, 3.0])
    >>> round(valley.parameters), round(valley.loss, 6)
    (1000, 2.0)
    """
    (logs,), height = _logs(3, parameters=parameters, losses=losses)
    _check_different(3, parameters=parameters)
    middle = logs.mean()
    curvature, slope, level = np.polyfit(logs - middle, height, 2)
    if curvature <= 0:
        raise ValueError(f"losses={quoted(list(losses))} have no valley: give runs on both sides of the lowest loss")
    lowest = -slope / (2 * curvature)
    return Valley(float(np.exp(middle + lowest)), float(level - curvature * lowest**2), float(curvature))


def fit_power(budgets: Sequence[float], values: Sequence[float]) -> Power:
    """Fit a power law of the budget: a straight line between logarithms.

    Parameters
    ----------
    budgets, values : sequence of float
        FLOPs, and such as the best N of each; two or more.

    Raises
    ------
    TypeError
        If one is not several numbers; quotes it.
    ValueError
        If they are not as many, of fewer than two budgets, or not positive.

    Examples
    --------
    >>> power = fit_power([1e18, 1e20], [4e8, 4e9])
    >>> round(power.exponent, 6), f"{power.at(1e22):.3g}"
    (0.5, '4e+10')
    """
    (logs,), height = _logs(2, budgets=budgets, values=values)
    _check_different(2, budgets=budgets)
    exponent, level = np.polyfit(logs, np.log(height), 1)
    return Power(float(np.exp(level)), float(exponent))


def fit_law(parameters: Sequence[float], tokens: Sequence[float], losses: Sequence[float]) -> Law:
    """Fit E + A/N**a + B/D**b to runs, with the least squares of relative errors.

    For given exponents the other three numbers follow from linear equations. The descent starts where these are best.

    Parameters
    ----------
    parameters, tokens, losses : sequence of float
        N, D and the loss of each run: five or more, with more than two N and more than two D.

    Raises
    ------
    TypeError
        If one is not several numbers; quotes it.
    ValueError
        If they are not as many, fewer than five, not positive, or no law of this form falls with both.

    Notes
    -----
    Approach 3 of Hoffmann and others, who minimize another error, that of the logarithm with less weight on outliers.

    Examples
    --------
    >>> law = Law(E=1.8, A=480, B=2000, a=0.35, b=0.37)
    >>> runs = [(n, d) for n in (1e8, 1e9, 1e10) for d in (1e9, 1e10, 1e11)]
    >>> fitted = fit_law(*zip(*runs), [law.loss(*run) for run in runs])
    >>> round(fitted.a, 4), round(fitted.b, 4), round(fitted.E, 4)
    (0.35, 0.37, 1.8)
    """
    (log_n, log_d), height = _logs(5, parameters=parameters, tokens=tokens, losses=losses)
    _check_different(3, parameters=parameters, tokens=tokens)
    middle_n, middle_d = log_n.mean(), log_d.mean()
    starts = [_given_exponents(log_n - middle_n, log_d - middle_d, height, a, b) for a, b in product(_STARTS, repeat=2)]
    error, start = min(starts, key=lambda each: each[0])
    if not np.isfinite(error):
        raise ValueError("no law of this form falls with both parameters and tokens: give other runs")
    for free in ([0, 1, 2, 3, 4], [1, 2, 3, 4]):  # all five numbers, or the four beside E = 0
        E, A, B, a, b = _descend(log_n - middle_n, log_d - middle_d, height, start, free)
        if E >= 0:
            break
        start[0] = 0
    if min(A, B, a, b) <= 0:
        raise ValueError("no law of this form falls with both parameters and tokens: give other runs")
    return Law(float(E), float(A * np.exp(a * middle_n)), float(B * np.exp(b * middle_d)), float(a), float(b), "a fit")


def _terms(log_n: NDArray, log_d: NDArray, a: float, b: float) -> NDArray:
    """Return what E, A and B are multiplied by, a row for each."""
    return np.stack([np.ones_like(log_n), np.exp(-a * log_n), np.exp(-b * log_d)])


def _given_exponents(log_n: NDArray, log_d: NDArray, height: NDArray, a: float, b: float) -> tuple[float, NDArray]:
    """Return the error of the best E, A and B for two exponents, infinity if A or B is negative, and all numbers."""
    relative = _terms(log_n, log_d, a, b) / height
    numbers = np.linalg.lstsq(relative.T, np.ones_like(height), rcond=None)[0]
    error = np.square(numbers @ relative - 1).sum() if numbers[1:].min() > 0 else np.inf
    return float(error), np.array([*numbers, a, b])


def _descend(log_n: NDArray, log_d: NDArray, height: NDArray, start: NDArray, free: list[int]) -> NDArray:
    """Descend to the least squares of relative errors, by the method of Levenberg and Marquardt."""

    def errors(numbers: NDArray) -> NDArray:
        return numbers[:3] @ _terms(log_n, log_d, *numbers[3:]) / height - 1

    numbers, damping = start.copy(), 1e-3
    for _ in range(_STEPS):
        _, A, B, a, b = numbers
        terms = _terms(log_n, log_d, a, b)
        slopes = (np.stack([*terms, -A * log_n * terms[1], -B * log_d * terms[2]]) / height)[free]
        now, square = errors(numbers), slopes @ slopes.T
        step = np.zeros(5)
        step[free] = np.linalg.solve(square + damping * np.diag(np.diag(square)), -slopes @ now)
        if np.square(errors(numbers + step)).sum() < np.square(now).sum():
            numbers, damping = numbers + step, damping / 5
        else:
            damping *= 4
        if damping > 1e12:
            break
    return numbers


def _logs(least: int, **given: Sequence[float]) -> tuple[list[NDArray], NDArray]:
    """Return the logarithms of all but the last, and the last; refuse too few, and what is not positive."""
    held = {name: several(name, values, "[1e8, 1e9, 1e10]") for name, values in given.items()}
    *_, heights = held.values()
    for name, values in held.items():
        if len(values) != len(heights) or len(values) < least:
            raise ValueError(
                f"{name}={quoted(list(values))} are {len(values)}, beside {len(heights)} of the other: "
                f"give as many, and at least {least}"
            )
        for value in values:
            positive(name, value)
    *found, last = (np.asarray(values, float) for values in held.values())
    return [np.log(values) for values in found], last


def _check_different(least: int, **given: Sequence[float]) -> None:
    for name, values in given.items():
        if len(set(values)) < least:
            raise ValueError(f"{name}={quoted(list(values))} are fewer than {least} different ones: give more runs")
