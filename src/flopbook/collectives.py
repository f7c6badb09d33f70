"""Name the collectives, and say what each rank sends when a ring runs one.

The payload of a collective is its whole tensor: what an all-reduce sums, what an all-gather gives to each rank, what a
rank gives to a reduce-scatter or an all-to-all.
"""

from fractions import Fraction
from typing import Any

from flopbook.checks import one_of

#: Each collective with what a rank of n sends of its payload: a multiple of (n - 1)/n, and a multiple of all of it.
COLLECTIVES = {
    "all-reduce": (2, 0),
    "all-gather": (1, 0),
    "reduce-scatter": (1, 0),
    "all-to-all": (1, 0),
    "broadcast": (0, 1),
    "reduce": (0, 1),
    "gather": (1, 0),
    "scatter": (1, 0),
    "send": (0, 1),
    "receive": (0, 0),
}


def ring_bytes(collective: str, payload: Any, ranks: Any) -> Any:
    """Return the bytes that each rank sends.

    Parameters
    ----------
    collective : str
        A name in `COLLECTIVES`.
    payload : int or sympy.Expr
        Bytes of the whole tensor.
    ranks : int or sympy.Expr
        How many take part.

    Returns
    -------
    int or sympy.Expr
        Of numbers, the next whole one: a payload that the ranks do not divide is padded.

    Raises
    ------
    ValueError
        If the name is not one of them; quotes it.

    Notes
    -----
    A ring sums in n - 1 steps of a share each, and gathers in as many. The factors are those by which NCCL's tests
    turn time into bandwidth: https://github.com/NVIDIA/nccl-tests/blob/master/doc/PERFORMANCE.md. Of a broadcast, a
    reduction to one rank, a gather and a scatter it is what the busiest rank sends.

    Examples
    --------
    >>> ring_bytes("all-reduce", 2048, 2), ring_bytes("all-gather", 2048, 8), ring_bytes("receive", 2048, 2)
    (2048, 1792, 0)
    """
    shares, whole = COLLECTIVES[one_of("collective", collective, COLLECTIVES)]
    if isinstance(payload, int) and isinstance(ranks, int):
        return -(Fraction(-shares * payload * (ranks - 1), ranks) // 1) + whole * payload * (ranks > 1)
    return shares * payload * (ranks - 1) / ranks + whole * payload
