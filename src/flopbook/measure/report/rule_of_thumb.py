"""Compare the rule of thumb of 6 x parameters x batch, or tokens, with a count."""

from collections.abc import Mapping
from typing import NamedTuple

#: The factor of parameters x batch, or tokens, in each phase.
FACTORS = {"forward": 2, "backward": 4}


class Formula(NamedTuple):
    """Holds what the rule of thumb says: factor x parameters x batch, or tokens.

    Attributes
    ----------
    factor, flops : int
        2 forward, 4 backward, 6 for both; and the product.
    error : float
        The product minus the count, as a part of the count.
    """

    factor: int
    flops: int
    error: float


def formulas(parameters: int, inputs: int, counted: Mapping[str, int]) -> dict[str, Formula]:
    """Apply the rule of thumb to each phase that ran, and to all phases.

    Parameters
    ----------
    parameters, inputs : int
        The model's parameters, and how often each is used: the batch, or the tokens of a language model.
    counted : dict of str to int
        FLOPs of the forward and of the backward pass, and of all.

    Returns
    -------
    dict of str to Formula
        By phase, with the ``total`` last.

    Examples
    --------
    >>> formulas(4_466_520, 256, {"forward": 2_284_322_816, "backward": 4_343_726_080, "total": 6_628_048_896})["total"]
    Formula(factor=6, flops=6860574720, error=0.035...)
    """
    factors = {phase: factor for phase, factor in FACTORS.items() if counted[phase]}
    if factors:
        factors["total"] = sum(factors.values())
    products = {phase: factor * parameters * inputs for phase, factor in factors.items()}
    return {phase: Formula(factors[phase], flops, flops / counted[phase] - 1) for phase, flops in products.items()}
