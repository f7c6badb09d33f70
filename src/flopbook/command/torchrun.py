"""Be one rank of those that torchrun starts: join the group, and let one rank alone tell of a mistake."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

from flopbook.command.load import MistakeError

#: Where torchrun says which rank this process is.
_NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT")
#: The place in torchrun's store where ranks note that they made a mistake.
_MISTAKES = "flopbook/mistakes"
_WAIT = timedelta(seconds=2)


def under_torchrun() -> bool:
    """Tell whether torchrun started this process."""
    return all(name in os.environ for name in _NAMES)


def is_first() -> bool:
    """Tell whether this is the rank that prints, or the only one."""
    return not under_torchrun() or os.environ["RANK"] == "0"


@contextmanager
def group() -> Iterator[Callable[[], None]]:
    """Let the block be one rank, and end the group behind it.

    Yields
    ------
    callable
        Joins the group, unless the reader's module did.

    Raises
    ------
    MistakeError
        If this rank made the first mistake of all; it names the rank.
    SystemExit
        With the exit code of a mistake, if another rank told of it before.
    """
    from torch import distributed  # noqa: PLC0415  (help and mistakes need no PyTorch)

    try:
        yield _join
    except MistakeError as mistake:
        if not _is_first_mistake():
            sys.exit(2)
        raise MistakeError(f"rank {os.environ['RANK']} of {os.environ['WORLD_SIZE']}: {_told(mistake)}") from mistake
    if distributed.is_initialized():
        distributed.destroy_process_group()


def _told(mistake: MistakeError) -> str:
    """Say that another rank ended, where that is why this one failed."""
    from flopbook.measure.distributed.gathering import lost_another  # noqa: PLC0415  (help and mistakes need no PyTorch)

    if mistake.__cause__ and lost_another(mistake.__cause__):
        return "lost another rank, which ended or was killed: look at what that one wrote, and at torchrun's own report"
    return str(mistake)


def _join() -> None:
    """Join the group: through NCCL where there is a GPU for each rank of this machine, else through gloo."""
    import torch  # noqa: PLC0415  (help and mistakes need no PyTorch)
    from torch import distributed  # noqa: PLC0415

    if distributed.is_initialized():
        return
    local, here = int(os.environ["LOCAL_RANK"]), int(os.environ.get("LOCAL_WORLD_SIZE", os.environ["WORLD_SIZE"]))
    backend = "gloo"
    if torch.cuda.device_count() >= here:
        torch.cuda.set_device(local)
        backend = "cpu:gloo,cuda:nccl"
    distributed.init_process_group(backend)


def _is_first_mistake() -> bool:
    """Note a mistake where all ranks see it, and tell whether it is the first; True where no rank can be asked."""
    from torch import distributed  # noqa: PLC0415  (help and mistakes need no PyTorch)

    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    try:
        store = distributed.TCPStore(address, port, is_master=False, wait_for_workers=False, timeout=_WAIT)
        return store.add(_MISTAKES, 1) == 1
    except (RuntimeError, ValueError):
        return True
