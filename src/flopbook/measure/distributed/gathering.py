"""Gather what each rank of a process group counted."""

from typing import TYPE_CHECKING, Any

from torch import distributed
from torch.utils._mode_utils import no_dispatch

from flopbook import checks
from flopbook.counts.ranks import Rank, Ranks
from flopbook.counts.views import Views

if TYPE_CHECKING:
    from flopbook.measure.counting.count import FlopCount
    from flopbook.measure.report import Report

__all__ = ["gather", "lost_another"]

#: The kinds of bytes of a report that add up.
_KEPT = ("parameters", "buffers", "gradients", "optimizer", "activations")
#: What gloo and NCCL say when a rank that they wait for is gone.
_LOST = ("gloo/transport", "closed by peer", "reset by peer", "Broken pipe", "remote process exited")


def gather(counted: "FlopCount | Report") -> Ranks:
    """Put side by side what the ranks of the group counted.

    Every rank calls it, and every rank gets all of them back.

    Parameters
    ----------
    counted : FlopCount or Report
        Of this rank. Bytes kept and seconds are known of a report only.

    Returns
    -------
    Ranks
        For each rank FLOPs by phase, bytes of each collective, bytes kept and seconds of a step, as text, HTML and
        JSON, with the largest over the mean.

    Raises
    ------
    TypeError
        On every rank, if one gives something else.
    RuntimeError
        If there is no process group, its other ranks are not there, or a rank ends meanwhile.

    Notes
    -----
    What is sent here is not counted, even by a `FlopCount` whose block is not over.

    Examples
    --------
    >>> import torch
    >>> from flopbook.measure import FlopCount
    >>> from flopbook.measure.distributed import run_ranks
    >>> def uneven():
    ...     samples = 6 + 2 * torch.distributed.get_rank()
    ...     with FlopCount() as counted:
    ...         torch.ones(samples, 4) @ torch.ones(4, 3)
    ...     return gather(counted)
    >>> print(run_ranks(uneven)[0])
    FLOPs of rank   forward  pointwise
    0                   144          0
    1                   192          0
    largest / mean    1.143
    <BLANKLINE>
    largest / mean: 1 where all ranks take the same; the others wait for the one that takes most.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        raise RuntimeError(
            "there is no process group to gather from: start the ranks with torchrun and call "
            "torch.distributed.init_process_group(), or use flopbook.measure.distributed.run_ranks"
        )
    rank, ranks = distributed.get_rank(), distributed.get_world_size()
    if distributed.get_backend() == "fake" and ranks > 1:
        raise RuntimeError(f"the other ranks of {ranks} are not there to gather from: show what this one counted")
    with no_dispatch():
        found = _exchanged(_taken(rank, counted), rank, ranks)
    for number, other in enumerate(found):
        if isinstance(other, str):
            raise TypeError(f"rank {number} of {ranks}: {other}")
    return Ranks(tuple(found))


def _taken(rank: int, counted: Any) -> Rank | str:
    """Return what is compared between ranks, or what is wrong with what was given."""
    if not isinstance(counted, Views):
        return f"{checks.quoted(counted)} is not a count: give a FlopCount, or a Report"
    memory, timing = getattr(counted, "memory", None), getattr(counted, "timing", None)
    kept = memory and {name: getattr(memory, name) for name in _KEPT}
    return Rank.of(rank, counted.breakdown, kept, timing and timing.seconds)


def _exchanged(mine: Rank | str, rank: int, ranks: int) -> list[Any]:
    """Give a value to all ranks, and return those of all."""
    found: list[Any] = [None] * ranks
    try:
        distributed.all_gather_object(found, mine)
    except RuntimeError as error:
        if not lost_another(error):
            raise
        raise RuntimeError(
            f"rank {rank} of {ranks} lost another while gathering: look at that one's output for why it ended "
            f"({' '.join(str(error).split())})"
        ) from None
    return found


def lost_another(error: BaseException) -> bool:
    """Tell whether a collective failed since a rank that takes part in it has ended."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in _LOST)
