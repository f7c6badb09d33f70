"""Let a model write its own formula.

The model runs on tensors without data whose sizes are letters. Every operator
is counted by the rule that `FlopCount` counts it by, and their sum is a formula.
"""

import operator
import warnings
from collections.abc import Callable, Mapping

from flopbook.counts.tally import times
from flopbook.tracing.checking import Check
from flopbook.tracing.costs import Costs
from flopbook.tracing.errors import FormulaError, NoPolynomialError, TooLongError
from flopbook.tracing.letters import NeedsPlainNumber
from flopbook.tracing.run import letters_of
from flopbook.tracing.search import Search
from flopbook.tracing.traced import Traced
from flopbook.tracing.work import Work

__all__ = ["FormulaError", "Traced", "trace"]


def trace(build: Callable, inputs: Callable, sizes: Mapping[str, int]) -> Traced:
    """Write the FLOPs of a model's training step as formulas in the reader's letters.

    Parameters
    ----------
    build : callable
        Makes the model. Its parameters are letters; one that has a default
        and no size keeps it.
    inputs : callable
        Makes what the model is called with: a tensor, a tuple of arguments,
        or a dictionary of named ones. Its parameters are letters, too.
    sizes : mapping of str to int
        An example size of every letter. The formulas don't depend on them.

    Returns
    -------
    Traced
        Shows itself as a table of the model's modules.

    Raises
    ------
    TypeError
        If `build` or `inputs` takes something else than letters.
    ValueError
        If `sizes` lacks a letter, or has one that neither function takes, or
        nothing depends on a letter.
    FormulaError
        If the FLOPs are not a formula of the sizes: they depend on the data, or
        the model takes another way for some sizes. The message names the line.

    Notes
    -----
    The backward pass is that of the sum of all results. Sizes stay letters
    wherever the model lets them. A letter that it takes for a plain number,
    such as the number of layers, is sampled: the model runs with a few small
    sizes of it, and the polynomial through them is checked at others. What the
    model rounds, such as half of the layers, is a polynomial only where nothing
    is left over; then a condition says so. An operator with equal arguments runs once.
    A person at a terminal sees how far a long trace is.

    The formulas are those of a run on the CPU. They are held against the model
    at other sizes, also where those are 1; `conditions` says where they hold.
    What a model does with a sampled letter only beyond the samples and the
    example goes unseen; `way` names the letters that were sampled.

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
    B, D, F stayed letters.
    """
    letters = letters_of(build, "build"), letters_of(inputs, "inputs")
    work = Work()
    try:
        search, costs, conditions = _solved(Search(build, inputs, _checked(sizes, *letters), work))
    finally:
        work.end()
    if idle := search.idle(costs):
        raise ValueError(f"nothing in the model depends on {', '.join(idle)}: leave it out of build, inputs and sizes")
    _warn(search.uncounted)
    return Traced(
        {cell: search.in_letters(cost) for cell, cost in costs.items()},
        sizes,
        conditions=[search.in_letters(condition) for condition in conditions],
        way=search.way,
        uncounted=search.uncounted,
    )


def _solved(search: Search) -> tuple[Search, Costs, tuple]:
    """Find the formulas: with the letters as they are, or else with a quotient of them as a letter."""
    try:
        return search, *_confirmed(search)
    except NoPolynomialError as error:
        for other in search.with_quotient(error):
            try:
                return other, *_confirmed(other)
            except TooLongError:
                break
            except FormulaError:
                continue
        raise


def _confirmed(search: Search) -> tuple[Costs, tuple]:
    """Find formulas and check them until the check agrees."""
    while True:
        costs = search.costs()
        try:
            return costs, Check(search, costs).conditions()
        except NeedsPlainNumber as found:
            search.sample({found.symbol: found.line})


def _checked(sizes: Mapping[str, int], *taken: Mapping[str, bool]) -> dict[str, int]:
    """Return the sizes if there is one for each letter that needs one."""
    letters = dict.fromkeys(name for function in taken for name in function)
    needed = [name for name in letters if any(function.get(name) for function in taken)]
    wanted = ", ".join(f"{name}=..." for name in needed)
    if not isinstance(sizes, Mapping):
        raise TypeError(f"{sizes!r} is not a mapping of letters to sizes: write sizes=dict({wanted})")
    for name, size in sizes.items():
        if isinstance(size, bool) or not hasattr(size, "__index__") or operator.index(size) < 1:
            raise ValueError(f"{name}={size!r} is not a size: write a whole number of at least 1")
        if name not in letters:
            raise ValueError(f"neither build nor inputs takes {name}: write sizes=dict({wanted})")
    if missing := [name for name in needed if name not in sizes]:
        raise ValueError(f"an example size is missing for {', '.join(missing)}: write sizes=dict({wanted})")
    return {name: operator.index(size) for name, size in sizes.items()}


def _warn(uncounted: Mapping[str, int]) -> None:
    if uncounted:
        listed = ", ".join(f"{name} ({times(calls)})" for name, calls in uncounted.items())
        warnings.warn(
            f"no rule for {listed}: not traced. Add one with flopbook.measure.operators.flop_rule",
            stacklevel=3,
        )
