"""Be one rank of many in a single process, with PyTorch's fake process group."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from torch import distributed

from flopbook import checks

__all__ = ["fake_ranks"]


@contextmanager
def fake_ranks(ranks: int, rank: int = 0) -> Iterator[None]:
    """Be one rank of a group whose other ranks are not there.

    Every collective returns at once and leaves its result as it was made: counts are right, values are not.

    Parameters
    ----------
    ranks : int
        How many ranks the group has, such as 1,024.
    rank : int
        Which of them this process is.

    Raises
    ------
    TypeError, ValueError
        If there are no ranks, or not such a rank.
    RuntimeError
        If this process is a rank already.

    Notes
    -----
    Sharded and tensor-parallel modules run; `DistributedDataParallel` does not, for it waits for its results.

    Examples
    --------
    >>> import torch
    >>> from flopbook.measure import FlopCount
    >>> with fake_ranks(1024), FlopCount() as counted:
    ...     torch.distributed.all_reduce(torch.zeros(512))
    >>> counted.by_collective
    {'all-reduce': Sent(calls=1, payload=2048, ring=4092)}
    """
    checks.size("ranks", ranks)
    checks.size("rank", rank, least=0)
    if rank >= ranks:
        raise ValueError(f"rank={rank} is not one of {ranks}: give 0 to {ranks - 1}")
    if distributed.is_initialized():
        raise RuntimeError(
            f"this process is rank {distributed.get_rank()} of {distributed.get_world_size()} already: "
            "end that group with torch.distributed.destroy_process_group()"
        )
    from torch.testing._internal.distributed.fake_pg import FakeStore  # noqa: PLC0415  (it registers the fake group)

    shows_errors = sys.excepthook  # which a group replaces by one that says on each line which rank it is
    distributed.init_process_group("fake", store=FakeStore(), rank=rank, world_size=ranks)
    try:
        yield
    finally:
        distributed.destroy_process_group()
        sys.excepthook = shows_errors
        _forget_groups()


def _forget_groups() -> None:
    """Clear what sharded tensors remember: a later rank of an equal mesh would look for a group that has ended."""
    if "torch.distributed.tensor" in sys.modules:
        from torch.distributed.tensor.debug import _clear_sharding_prop_cache  # noqa: PLC0415  (else imported for all)

        _clear_sharding_prop_cache()
