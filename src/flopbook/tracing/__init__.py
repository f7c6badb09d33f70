"""The meeting room where a model writes its own formula.

The model runs on tensors without data whose sizes are letters. Every operator
is counted by the rule that `FlopCount` counts it by, and their sum is a formula.
"""

from collections.abc import Callable, Mapping

from flopbook.tracing.checking import Check
from flopbook.tracing.letters import Fixes
from flopbook.tracing.result import Traced
from flopbook.tracing.search import Search

__all__ = ["Traced", "trace"]


def trace(build: Callable, inputs: Callable, sizes: Mapping[str, int]) -> Traced:
    """FLOPs of a model's training step as formulas in the reader's own letters.

    Parameters
    ----------
    build : callable
        Makes the model. Its parameters are letters.
    inputs : callable
        Makes what the model is called with: a tensor, a tuple of arguments,
        or a dictionary of named ones. Its parameters are letters, too.
    sizes : mapping of str to int
        An example size of every letter. The formulas don't depend on them.

    Returns
    -------
    Traced
        Shows itself as a table of the model's modules.

    Notes
    -----
    The backward pass is that of the sum of all results.

    Examples
    --------
    >>> import torch
    >>> from torch import nn
    >>> def build(D, F):
    ...     return nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))
    >>> traced = trace(build, inputs=lambda B, D: torch.empty(B, D), sizes=dict(B=8, D=16, F=64))
    >>> traced.forward, traced.backward
    (4*B*D*F, 6*B*D*F)
    >>> traced
    module          forward  backward
    the whole step  4*B*D*F   6*B*D*F
    0               2*B*D*F   2*B*D*F
    2               2*B*D*F   4*B*D*F
    """
    search = Search(build, inputs, sizes)
    while True:
        costs = search.costs()
        try:
            conditions = Check(search, costs).conditions()
        except Fixes as found:
            search.sample({found.symbol: found.place})
        else:
            break
    return Traced(
        {cell: search.in_letters(cost) for cell, cost in costs.items()},
        sizes,
        [search.in_letters(condition) for condition in (*search.divisible, *conditions)],
    )
