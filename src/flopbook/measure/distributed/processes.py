"""Run a function in several processes that form one group, and end them all, whatever happens."""

import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn

import cloudpickle
import torch
from torch import distributed

from flopbook import checks

__all__ = ["run_ranks"]

_GRACE = 1.0  # seconds in which the rank that failed first is told from those that lost it

# Processes are forked from a small one that has imported PyTorch once; on macOS such a fork is not safe.
_CONTEXT = get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    _CONTEXT.set_forkserver_preload([__name__, "flopbook.measure.counting.count", "torch.distributed.tensor.parallel"])


def run_ranks(function: Callable[..., Any], *arguments: Any, ranks: int = 2, seconds: float = 120) -> list[Any]:
    """Call a function on every rank of a process group, and return what each rank returns.

    Each rank is a process of its own with one thread. They meet through gloo, or through NCCL where there is a GPU for
    each. When one fails, all are ended.

    Parameters
    ----------
    function : callable
        Runs on each rank, where `torch.distributed` is initialized. It may be written in a notebook.
    *arguments
        What it is called with.
    ranks : int
        How many there are.
    seconds : float
        How long to wait for them.

    Returns
    -------
    list
        What each rank returned, in their order. It has to be data that can be sent, such as numbers.

    Raises
    ------
    TypeError, ValueError
        If the function cannot be called, or a number is not positive.
    RuntimeError
        If a rank raises an error, is killed, or does not come to an end; tells which and why.

    Examples
    --------
    >>> import torch
    >>> run_ranks(lambda base: base + torch.distributed.get_rank(), 10, ranks=2)
    [10, 11]
    """
    checks.function(function, "run_ranks(step, ranks=2)")
    checks.size("ranks", ranks)
    checks.positive("seconds", seconds)
    task = cloudpickle.dumps((function, arguments))
    with tempfile.TemporaryDirectory(prefix="flopbook-ranks-") as folder:
        store = str(Path(folder) / "store")
        started: list[tuple[BaseProcess, connection.Connection]] = []
        try:
            for rank in range(ranks):
                ours, theirs = _CONTEXT.Pipe()
                process = _CONTEXT.Process(target=_work, args=(theirs, task, store, rank, ranks), daemon=True)
                process.start()
                theirs.close()
                started.append((process, ours))
            return _results(started, monotonic() + seconds, seconds)
        finally:
            for process, pipe in started:
                process.kill()
                process.join()
                pipe.close()


def _results(started: list[tuple[BaseProcess, connection.Connection]], deadline: float, seconds: float) -> list[Any]:
    """Collect what each rank returns; raise an error when one fails."""
    ranks = {pipe: rank for rank, (_, pipe) in enumerate(started)}
    said: dict[int, Any] = {}
    failed: dict[int, str | None] = {}  # None where a rank ended without a word
    while len(said) < len(started):
        waiting = [pipe for pipe, rank in ranks.items() if rank not in said and rank not in failed]
        ready = connection.wait(waiting, max(0.0, deadline - monotonic()))
        if not ready:
            break
        for pipe in ready:
            rank = ranks[pipe]  # type: ignore[index]
            try:
                succeeded, value = pipe.recv()  # type: ignore[union-attr]
            except (EOFError, ConnectionError):
                failed[rank] = None
            else:
                if succeeded:
                    said[rank] = cloudpickle.loads(value)
                else:
                    failed[rank] = value
        if failed:  # those that lost it fail, too, a little later
            deadline = min(deadline, monotonic() + _GRACE)
    if len(said) < len(started):
        _raise(started, said, failed, seconds)
    return [said[rank] for rank in range(len(started))]


def _raise(
    started: list[tuple[BaseProcess, connection.Connection]],
    said: dict[int, Any],
    failed: dict[int, str | None],
    seconds: float,
) -> NoReturn:
    """Say in one sentence which rank failed, and why."""
    ranks = len(started)
    for rank, reason in failed.items():
        if reason is None:
            process = started[rank][0]
            process.join(_GRACE)
            code = process.exitcode or 0
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise RuntimeError(f"rank {rank} of {ranks} {how}: all ranks were ended")
    for rank, reason in failed.items():
        raise RuntimeError(f"rank {rank} of {ranks} raised {reason}: all ranks were ended")
    late = ", ".join(str(rank) for rank in range(ranks) if rank not in said)
    raise RuntimeError(
        f"rank {late} of {ranks} did not end within {seconds:g} seconds: all ranks were ended. "
        "Let every rank call the same collectives in the same order"
    )


def _work(pipe: connection.Connection, task: bytes, store: str, rank: int, ranks: int) -> None:
    """Run the task as one rank."""
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    torch.set_num_threads(1)  # as torchrun does
    backend = "gloo"
    if torch.cuda.device_count() >= ranks:
        backend = "nccl"
        torch.cuda.set_device(rank)
    try:
        distributed.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=ranks)
        function, arguments = cloudpickle.loads(task)
        value = cloudpickle.dumps(function(*arguments))
        distributed.barrier()  # the first to end would close what the others still read
    except BaseException as error:  # whatever it is, the process that started this one has to know
        pipe.send((False, f"{type(error).__name__}: {' '.join(str(error).split())}"))
        os._exit(1)
    pipe.send((True, value))
    distributed.destroy_process_group()


def _end_with_parent(pipe: connection.Connection) -> None:
    """End this process when the one that started it is gone."""
    try:
        pipe.recv()
    except (EOFError, OSError):
        os._exit(1)
