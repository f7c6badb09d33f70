"""Predict what speculative decoding saves: a small model guesses tokens, and the large one reads them all at once."""

from fractions import Fraction
from typing import Any

import sympy
from sympy import Expr

from flopbook.checks import is_number, quoted
from flopbook.predict.values import number

__all__ = ["expected_tokens", "speculative_cost"]


def expected_tokens(acceptance: Fraction | float | Expr, guesses: Expr | int) -> Any:
    """Predict how many tokens a pass of the large model writes on average: (1 - a**(g + 1)) / (1 - a).

    The large model reads g guesses at once and keeps them up to the first that it rejects. In the place of that one it
    writes its own token, and after g good guesses one more.

    Parameters
    ----------
    acceptance : number or Expr
        The probability that a guess is accepted, of each guess alike: from 0 to 1.
    guesses : Expr or int
        How many tokens are guessed for each pass of the large model.

    Returns
    -------
    number or Expr
        At least 1, at most ``guesses + 1``.

    Raises
    ------
    TypeError, ValueError
        If the acceptance is not from 0 to 1, or the guesses are not a whole number of at least 0.

    Notes
    -----
    Leviathan, Kalman and Matias, *Fast Inference from Transformers via Speculative Decoding* (2023), equation 1.
    The first i guesses are all accepted with a probability of a**i, so that it is 1 + a + ... + a**g.

    Examples
    --------
    >>> from fractions import Fraction
    >>> expected_tokens(Fraction(3, 5), 2), expected_tokens(1, 4)
    (Fraction(49, 25), 5)
    >>> expected_tokens(sympy.Symbol("a"), 2)
    a**2 + a + 1
    """
    known = number("guesses", guesses)
    if isinstance(acceptance, Expr) and not acceptance.is_number:
        return sympy.cancel((1 - acceptance ** (known + 1)) / (1 - acceptance))
    if not (is_number(acceptance) or isinstance(acceptance, Expr)) or not 0 <= acceptance <= 1:
        raise ValueError(f"acceptance={quoted(acceptance)} is not a probability: write a number from 0 to 1")
    count = int(known) if known.is_Integer else known
    return count + 1 if acceptance == 1 else (1 - acceptance ** (count + 1)) / (1 - acceptance)


def speculative_cost(
    target: Fraction | float | Expr,
    draft: Fraction | float | Expr,
    acceptance: Fraction | float | Expr,
    guesses: Expr | int,
) -> Any:
    """Predict what a written token costs on average where a small model guesses, in FLOPs or in seconds.

    Parameters
    ----------
    target : number or Expr
        What a pass of the large model over the guesses and one token more costs.
    draft : number or Expr
        What one guess costs.
    acceptance, guesses : number or Expr
        As for :func:`expected_tokens`.

    Raises
    ------
    TypeError, ValueError
        If a cost is negative or not a number, or for :func:`expected_tokens`.

    Notes
    -----
    Leviathan, Kalman and Matias (2023), theorems 3.8 and 3.11: with a pass of the large model as the unit of time, the
    inverse is the speedup; with a token of the large model as the unit of FLOPs, a pass costs ``guesses + 1``.

    Examples
    --------
    Three tokens at once take no longer than one, and guesses cost nothing:

    >>> from fractions import Fraction
    >>> 1 / speculative_cost(1, 0, Fraction(3, 5), 2)
    Fraction(49, 25)

    But it is 1.53 times the FLOPs:

    >>> round(float(speculative_cost(3, 0, Fraction(3, 5), 2)), 2)
    1.53
    """
    for name, cost in (("target", target), ("draft", draft)):
        if not isinstance(cost, Expr) and not (is_number(cost) and cost >= 0):
            raise ValueError(f"{name}={quoted(cost)} is not a cost: write a number of at least 0")
    tokens = expected_tokens(acceptance, guesses)
    return (target + guesses * draft) / tokens
