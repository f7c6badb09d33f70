"""Predict what a format loses: updates that vanish, gradients that are too small, and errors of sums."""

from fractions import Fraction
from math import inf
from typing import NamedTuple

import sympy
from sympy import Expr, sqrt

from flopbook.checks import quoted
from flopbook.predict.formats import Format, exact, find_format, power_below
from flopbook.predict.values import number

__all__ = ["Chances", "gap", "largest_lost", "loss_scale", "roundoff", "standstill", "stochastic", "sum_error"]


def gap(format_: Format | str, number: Fraction | float) -> Fraction:
    """Return the distance between two neighbours of a format, at a number.

    Parameters
    ----------
    format_ : Format or str
        A format, or a name in `FORMATS`.
    number : number
        At a number of the format, the distance is that to its neighbour away from zero.

    Raises
    ------
    TypeError, ValueError
        If the format is not known, or the number is not finite, or is as large as the format's largest, or larger.

    Examples
    --------
    >>> gap("bf16", 1), gap("bf16", 1000), gap("fp16", 0)
    (Fraction(1, 128), Fraction(4, 1), Fraction(1, 16777216))
    """
    known = find_format(format_)
    below = _at_or_below(known, abs(exact("number", number)), number)
    return _magnitude(known, below + 1) - _magnitude(known, below)


def _at_or_below(known: Format, size: Fraction, given: object) -> int:
    """Return the pattern of the largest number that is not above a positive one."""
    if size >= known.largest:
        raise ValueError(
            f"number={quoted(given)} has no neighbour in {known.name}, whose largest number is "
            f"{float(known.largest):,.6g}: give a smaller one"
        )
    pattern = known.nearest(size)
    return pattern - (_magnitude(known, pattern) > size)


def _magnitude(known: Format, pattern: int) -> Fraction:
    return Fraction(known.value(pattern))  # up to the top, patterns stand for numbers


def largest_lost(format_: Format | str, number: Fraction | float, *, toward_zero: bool = False) -> Fraction:
    """Return the largest update of a number of a format that is lost.

    What is added is lost where the sum is rounded back to the number: up to half of the way to its neighbour. At
    exactly half, the neighbour whose last bit is 0 is taken, so that a number whose last bit is 1 does not stay.

    Parameters
    ----------
    format_ : Format or str
        A format, or a name in `FORMATS`.
    number : number
        One of the format; another is rounded to it first.
    toward_zero : bool
        Whether the update makes the number smaller. Below a power of two, neighbours are half as far apart.

    Raises
    ------
    TypeError, ValueError
        As of :func:`gap`.

    Examples
    --------
    >>> largest_lost("bf16", 1), largest_lost("bf16", 1, toward_zero=True)
    (Fraction(1, 256), Fraction(1, 512))
    """
    known = find_format(format_)
    size = abs(exact("number", number))
    pattern = known.nearest(size)
    _at_or_below(known, size, number)
    other = max(pattern - 1, 0) if toward_zero else pattern + 1
    if other > known.top:
        raise ValueError(f"number={quoted(number)} becomes the largest number of {known.name}: give a smaller one")
    return abs(_magnitude(known, other) - _magnitude(known, pattern)) / 2


def standstill(format_: Format | str, update: Fraction | float) -> Fraction | float:
    """Predict where a sum of many equal updates, rounded each time, stands still.

    From 0 on, a sum grows until half of the gap above it is at least the update.

    Parameters
    ----------
    format_ : Format or str
        A format, or a name in `FORMATS`.
    update : number
        Positive. It is rounded to the format first.

    Returns
    -------
    Fraction or float
        A power of two. If that is above the largest number: infinity, or the largest number where there is none.

    Raises
    ------
    TypeError, ValueError
        If the format is not known, or the update is not a positive number, or is rounded to 0 or to infinity.

    Examples
    --------
    >>> standstill("bf16", 0.001), standstill("fp16", 0.001), standstill("fp16", 100)
    (Fraction(1, 2), Fraction(4, 1), inf)
    """
    known = find_format(format_)
    added = known.rounded(exact("update", update))
    if not 0 < added < inf:
        raise ValueError(f"update={quoted(update)} is {added} in {known.name}: give a positive number that it has")
    at = Fraction(2) ** (known.fraction_bits + 1 + _power_above(Fraction(added)))
    return at if at <= known.largest else inf if known.has_infinity else known.largest


def _power_above(number: Fraction) -> int:
    """Return the exponent of the smallest power of two that is at least a positive number.

    >>> _power_above(Fraction(4)), _power_above(Fraction(5)), _power_above(Fraction(1, 3))
    (2, 3, -1)
    """
    return -power_below(1 / number)


def loss_scale(format_: Format | str, smallest: Fraction | float, largest: Fraction | float = 0) -> int:
    """Return the smallest power of two that brings gradients into the reach of a format.

    The loss is multiplied by it, and so are all gradients; before the update they are divided again.

    Parameters
    ----------
    format_ : Format or str
        A format, or a name in `FORMATS`.
    smallest : number
        Size of the smallest gradient that shall keep all bits of its fraction.
    largest : number, optional
        Size of the largest gradient, which must not become infinite.

    Returns
    -------
    int
        At least 1.

    Raises
    ------
    TypeError, ValueError
        If the format is not known, the gradients are not positive numbers, or no power of two serves both.

    Notes
    -----
    Micikevicius and others, *Mixed Precision Training* (2018), section 3.2.

    Examples
    --------
    >>> loss_scale("fp16", 1e-8), loss_scale("bf16", 1e-8)
    (8192, 1)
    """
    known = find_format(format_)
    least, most = exact("smallest", smallest), exact("largest", largest)
    if least <= 0 or most < 0:
        wrong = f"smallest={quoted(smallest)}" if least <= 0 else f"largest={quoted(largest)}"
        raise ValueError(f"{wrong} is not the size of a gradient: write a positive number")
    scale = int(2 ** max(0, _power_above(known.smallest_normal / least)))
    if most * scale > known.largest:
        raise ValueError(
            f"no loss scale lifts {quoted(smallest)} to {float(known.smallest_normal):.6g} and keeps "
            f"{quoted(largest)} below {float(known.largest):,.6g}, the reach of {known.name}: take a format with more "
            "bits of exponent"
        )
    return scale


def roundoff(format_: Format | str) -> Fraction:
    """Return the unit roundoff: the most by which rounding changes a number, as a share of it.

    Holds from the smallest number with all bits of its fraction on.

    Examples
    --------
    >>> roundoff("bf16"), roundoff("e4m3")
    (Fraction(1, 256), Fraction(1, 16))
    """
    return Fraction(1, 2 ** (find_format(format_).fraction_bits + 1))


def sum_error(format_: Format | str, length: Expr | int, *, worst: bool = False) -> Expr:
    """Predict the error of a sum that is rounded at each step, as a share of the sum of its terms' sizes.

    Parameters
    ----------
    format_ : Format or str
        Of the running sum: a format, or a name in `FORMATS`.
    length : Expr or int
        How many terms there are.
    worst : bool
        Whether all roundings go the same way: ``length`` times the unit roundoff. Where they go either way by chance,
        most cancel, and the error grows with the root of the length.

    Raises
    ------
    TypeError, ValueError
        If the format is not known, or the length is neither made of axes nor a whole number of at least 1.

    Notes
    -----
    The worst case is a bound up to terms in the square of the roundoff, the other the order of what is likely: Higham
    and Mary, *A New Approach to Probabilistic Rounding Error Analysis* (2019). Once updates are lost, as
    :func:`standstill` says, roundings go the same way.

    Examples
    --------
    >>> from flopbook.predict import D
    >>> sum_error("bf16", D), sum_error("bf16", D, worst=True)
    (sqrt(D)/256, D/256)
    """
    terms = number("length", length, least=1)
    return sympy.Rational(roundoff(format_)) * (terms if worst else sqrt(terms))


class Chances(NamedTuple):
    """Holds what stochastic rounding makes of a number, made by :func:`stochastic`.

    Attributes
    ----------
    below, above : Fraction
        The number's neighbours; equal where it is one of the format.
    chance : Fraction
        That of `above`.
    """

    below: Fraction
    above: Fraction
    chance: Fraction

    @property
    def mean(self) -> Fraction:
        """Return what comes out on average."""
        return self.below + self.chance * (self.above - self.below)

    @property
    def variance(self) -> Fraction:
        """Return the mean square of the distance from the mean."""
        return (self.above - self.below) ** 2 * self.chance * (1 - self.chance)


def stochastic(format_: Format | str, number: Fraction | float) -> Chances:
    """Return the neighbours between which stochastic rounding draws, and the chance of the upper one.

    The nearer a neighbour, the more likely; so nothing is lost on average.

    Parameters
    ----------
    format_ : Format or str
        A format, or a name in `FORMATS`.
    number : number
        Below the format's largest number.

    Raises
    ------
    TypeError, ValueError
        As of :func:`gap`.

    Notes
    -----
    Gupta and others, *Deep Learning with Limited Numerical Precision* (2015), section 3.

    Examples
    --------
    >>> drawn = stochastic("bf16", Fraction(1001, 1000))
    >>> drawn.above, drawn.chance, drawn.mean
    (Fraction(129, 128), Fraction(16, 125), Fraction(1001, 1000))
    """
    known, given = find_format(format_), exact("number", number)
    pattern = _at_or_below(known, abs(given), number)
    near = _magnitude(known, pattern)
    far = near if near == abs(given) else _magnitude(known, pattern + 1)
    below, above = sorted((near, far) if given >= 0 else (-near, -far))
    return Chances(below, above, (given - below) / (above - below) if above > below else Fraction(0))
