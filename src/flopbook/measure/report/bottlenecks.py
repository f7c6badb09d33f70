"""Compare where a step's time goes with its FLOPs, and advise what to change."""

from collections.abc import Mapping
from typing import NamedTuple

from flopbook.counts.breakdown import Breakdown
from flopbook.measure.profiler import BETWEEN, TimeProfile

#: Kinds of work, in the order in which they are shown: matrix products, convolutions and attention; pointwise
#: operators; views, copies and lookups; collectives; the optimizer with its own code; and Python and autograd between
#: operators.
CATEGORIES = ("contractions", "pointwise", "movement", "communication", "optimizer", BETWEEN)

#: Where the operators come from that exchange tensors between ranks, or wait for them.
_COMMUNICATION = ("c10d::", "_c10d_functional::", "_c10d_functional_autograd::", "_dtensor::")

#: A category with less of the time than this is not a bottleneck: without it the step would hardly be faster.
_WORTHWHILE = 0.2

_ADVICE = {
    "contractions": (
        "Arithmetic: fewer FLOPs, a narrower format or a faster device shorten it. "
        "If it runs far below the device's peak, the products are small: make the batch larger."
    ),
    "pointwise": (
        "These operators read and write much and compute little. Fuse them, with torch.compile or a fused operator, "
        "so that intermediate results stay in the cache."
    ),
    "movement": "Views and copies. Look for .to(), .contiguous() and indexing in the step, and do them once before.",
    "communication": (
        "Sending takes time, and so does waiting for the slowest rank. Give all ranks the same work; send while others "
        "compute; send less, with more samples for each exchange or a narrower format."
    ),
    "optimizer": (
        "An update makes {calls:,.0f} calls of operators for {flops:.1%} of the FLOPs. With fused=True, where the "
        "optimizer has it, it makes one for all parameters; a larger batch shares an update among more samples."
    ),
    BETWEEN: (
        "The device waits for Python. A larger batch gives each operator more to do; "
        "torch.compile and CUDA graphs make fewer of them."
    ),
}


class Share(NamedTuple):
    """Holds what one category of work takes of a step.

    Attributes
    ----------
    time, flops : float
        Parts of the whole step. FLOPs of all kinds: contractions, pointwise
        and fused.
    calls : float
        Number of operators in a step.
    """

    time: float
    flops: float
    calls: float


class Bottleneck(NamedTuple):
    """Describes a category of work that is worth working on.

    Attributes
    ----------
    category : str
        One of `CATEGORIES`.
    share : Share
        What the category takes of a step.
    limit : float
        How many times as fast the step would be if the category took no time
        at all; no work on it can gain more (Amdahl's law).
    advice : str
        What to try.
    """

    category: str
    share: Share
    limit: float
    advice: str

    def __str__(self) -> str:
        return (
            f"{self.category}: {self.share.time:.0%} of the time, {self.share.flops:.1%} of the FLOPs. "
            f"Without it, {self.limit:.1f} times as fast. {self.advice}"
        )


def shares(counted: Breakdown, spent: TimeProfile) -> dict[str, Share]:
    """Compute each category's part of the step's time and of its FLOPs.

    Parameters
    ----------
    counted : Breakdown
        A count of the step.
    spent : TimeProfile
        The same step, timed with the operators of that count.

    Returns
    -------
    dict of str to Share
        In the order of `CATEGORIES`, communication only where there is any. Both kinds of parts add up to 1.

    Examples
    --------
    >>> import torch
    >>> from flopbook.measure import FlopCount
    >>> from flopbook.measure.profiler import profile_time
    >>> layer, x = torch.nn.Linear(64, 32), torch.randn(16, 64)
    >>> with FlopCount() as count:
    ...     y = layer(x)
    >>> spent = profile_time(lambda: layer(x), {row.operator for row in count.breakdown.operators})
    >>> found = shares(count.breakdown, spent)
    >>> found["contractions"].flops, found["contractions"].calls
    (1.0, 1.0)
    """
    kinds = {row.operator: _kind(row.operator, row.cost.contractions) for row in counted.operators}
    flops = dict.fromkeys(CATEGORIES, 0)
    for row in counted.operators:
        flops["optimizer" if row.phase == "optimizer" else kinds[row.operator]] += row.cost.flops
    time, calls = dict.fromkeys(CATEGORIES, 0.0), dict.fromkeys(CATEGORIES, 0.0)
    for phase, operator, number, seconds in spent.operators:
        category = BETWEEN if operator == BETWEEN else kinds.get(operator) or _kind(operator, 0, "movement")
        category = "optimizer" if phase == "optimizer" else category
        time[category] += seconds
        calls[category] += number if operator != BETWEEN else 0
    found = [name for name in CATEGORIES if name != "communication" or calls[name]]
    return {name: Share(_part(name, time), _part(name, flops), calls[name]) for name in found}


def _kind(operator: str, contractions: int, otherwise: str = "pointwise") -> str:
    if operator.startswith(_COMMUNICATION):
        return "communication"
    return "contractions" if contractions else otherwise


def _part(name: str, amounts: Mapping[str, float]) -> float:
    return amounts[name] / (sum(amounts.values()) or 1)


def bottlenecks(found: Mapping[str, Share]) -> list[Bottleneck]:
    """List the categories worth working on, most time first; the longest is always listed.

    Parameters
    ----------
    found : dict of str to Share
        From :func:`shares`.

    Examples
    --------
    >>> found = {"contractions": Share(0.75, 0.9, 11), "optimizer": Share(0.25, 0.1, 80)}
    >>> for bottleneck in bottlenecks(found):
    ...     print(bottleneck.category, round(bottleneck.limit, 2))
    contractions 4.0
    optimizer 1.33
    """
    ranked = sorted(found, key=lambda name: -found[name].time)
    return [
        Bottleneck(
            name, found[name], 1 / max(1 - found[name].time, 1e-3), _ADVICE[name].format(**found[name]._asdict())
        )
        for name in ranked
        if name == ranked[0] or found[name].time >= _WORTHWHILE
    ]
