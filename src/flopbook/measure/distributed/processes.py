"""Run a function in several processes that form one group, and end them all, whatever happens."""

import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from multiprocessing import connection, get_context
from multiprocessing.process import BaseProcess
from pathlib import Path
from time import monotonic
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

import cloudpickle
import torch
from torch import distributed

from flopbook import checks

__all__ = ["run_ranks"]

_GRACE = 1.0  # seconds in which the rank that failed first is told from those that lost it

# Processes are forked from a small one that has imported PyTorch once; on macOS such a fork is not safe.
_CONTEXT: Any = get_context("forkserver" if sys.platform == "linux" else "spawn")
if sys.platform == "linux":
    _CONTEXT.set_forkserver_preload(
        [
            __name__,
            "flopbook.measure.counting.count",
            "torch.distributed.tensor.parallel",
            "torch._dynamo",  # else every rank imports it, with an optimizer's first step or a copied or sharded model
        ]
    )


class _Failure(NamedTuple):
    """Says how a rank failed: when, by a clock that all processes share, why, and where in its code."""

    when: float
    reason: str
    where: str


def run_ranks(function: Callable[..., Any], *arguments: Any, ranks: int = 2, seconds: float = 120) -> list[Any]:
    """Call a function on every rank of a process group, and return what each rank returns.

    Each rank is a process of its own with one thread. They meet through gloo and, where there is a GPU for each,
    through NCCL for what lies there. When one fails, all are ended.

    Parameters
    ----------
    function : callable
        Runs on each rank, where `torch.distributed` is initialized. It may be written in a notebook, or in a script
        that calls `run_ranks` anywhere: the ranks do not run the script.
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
        If the function cannot be called, or cannot be sent with its arguments, or a number is not positive.
    RuntimeError
        If a rank raises an error, is killed, or does not come to an end; tells which and why. The traceback of a rank
        stands in a note of the error.

    Examples
    --------
    >>> import torch
    >>> run_ranks(lambda base: base + torch.distributed.get_rank(), 10, ranks=2)
    [10, 11]
    """
    checks.function(function, "run_ranks(step, ranks=2)")
    checks.size("ranks", ranks)
    checks.positive("seconds", seconds)
    task = _packed(function, arguments)
    with tempfile.TemporaryDirectory(prefix="flopbook-ranks-") as folder:
        store = str(Path(folder) / "store")
        started: list[tuple[BaseProcess, connection.Connection]] = []
        try:
            for rank in range(ranks):
                ours, theirs = _CONTEXT.Pipe()
                process = _CONTEXT.Process(target=_work, args=(theirs, task, store, rank, ranks), daemon=True)
                with _without_script():
                    process.start()
                started.append((process, ours))
                theirs.close()
            return _results(started, monotonic() + seconds, seconds)
        finally:
            for process, _ in started:
                process.kill()
            for process, pipe in started:
                process.join()
                pipe.close()


def _packed(function: Callable[..., Any], arguments: tuple) -> bytes:
    try:
        return cloudpickle.dumps((function, arguments))
    except Exception as error:  # whatever the reader's own type raises
        said = " ".join(str(error).split())
        raise TypeError(
            f"{checks.quoted(function)} cannot be sent to the ranks: {said}. Let it make there what it needs"
        ) from None


@contextmanager
def _without_script() -> Iterator[None]:
    """Start processes that do not run the reader's script again; what they need of the script is sent to them."""
    script, sys.modules["__main__"] = sys.modules["__main__"], ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


def _results(started: list[tuple[BaseProcess, connection.Connection]], deadline: float, seconds: float) -> list[Any]:
    """Collect what each rank returns; raise an error when one fails."""
    ranks: dict[Any, int] = {pipe: rank for rank, (_, pipe) in enumerate(started)}
    said: dict[int, bytes] = {}
    failed: dict[int, _Failure | None] = {}  # None where a rank ended without a word
    while waiting := [pipe for pipe, rank in ranks.items() if rank not in said and rank not in failed]:
        ready: list[Any] = connection.wait(waiting, max(0.0, deadline - monotonic()))
        if not ready:
            break
        for pipe in ready:
            try:
                value = pipe.recv()
            except (EOFError, OSError):
                value = None
            if isinstance(value, bytes):
                said[ranks[pipe]] = value
            else:
                failed[ranks[pipe]] = value
        if failed:  # those that lost it fail, too, a little later
            deadline = min(deadline, monotonic() + _GRACE)
    if len(said) < len(started):
        _raise(started, said, failed, seconds)
    return [cloudpickle.loads(said[rank]) for rank in range(len(started))]


def _raise(
    started: list[tuple[BaseProcess, connection.Connection]],
    said: dict[int, bytes],
    failed: dict[int, _Failure | None],
    seconds: float,
) -> NoReturn:
    """Say in one sentence which rank failed first, and why."""
    ranks = len(started)
    for rank, failure in failed.items():
        if failure is None:
            process = started[rank][0]
            process.join(_GRACE)
            code = process.exitcode or 0
            how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
            raise RuntimeError(f"rank {rank} of {ranks} {how}: all ranks were ended")
    raised = sorted((failure, rank) for rank, failure in failed.items() if failure)
    for failure, rank in raised:
        error = RuntimeError(f"rank {rank} of {ranks} raised {failure.reason}: all ranks were ended")
        error.add_note(f"On rank {rank}:\n{failure.where}")
        raise error
    late = [str(rank) for rank in range(ranks) if rank not in said]
    raise RuntimeError(
        f"rank{'s' * (len(late) > 1)} {', '.join(late)} of {ranks} did not end within {seconds:g} seconds: all ranks "
        "were ended. Let every rank call the same collectives in the same order"
    )


def _work(pipe: connection.Connection, task: bytes, store: str, rank: int, ranks: int) -> None:
    """Run the task as one rank."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C ends the process that started this one, and so this one
    threading.Thread(target=_end_with_parent, args=(pipe,), daemon=True).start()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(line_buffering=True, write_through=False)  # so that ranks write whole lines
    torch.set_num_threads(1)  # as torchrun does
    backend = "gloo"
    if torch.cuda.device_count() >= ranks:
        backend = "cpu:gloo,cuda:nccl"
        torch.cuda.set_device(rank)
    try:
        distributed.init_process_group(backend, init_method=f"file://{store}", rank=rank, world_size=ranks)
        distributed.barrier()  # a rank that ended before all had met would make gloo write to stderr
        function, arguments = cloudpickle.loads(task)
        value = function(*arguments)
        answer = cloudpickle.dumps(value)
        distributed.barrier()  # the first to end would close what the others still read
    except BaseException as error:  # whatever it is, the process that started this one has to know
        _say(pipe, _Failure(monotonic(), f"{type(error).__name__}: {' '.join(str(error).split())}", _where(error)))
        os._exit(1)
    _say(pipe, answer)
    distributed.destroy_process_group()


def _say(pipe: connection.Connection, what: Any) -> None:
    """Send a message, and before it what the rank printed, since the process may be ended then."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    with suppress(OSError):  # nobody waits any more
        pipe.send(what)


def _where(error: BaseException) -> str:
    """Write the traceback of an error below this module."""
    frames = error.__traceback__.tb_next if error.__traceback__ else None
    return "".join(traceback.format_exception(type(error), error, frames)).rstrip()


def _end_with_parent(pipe: connection.Connection) -> None:
    """End this process when the one that started it is gone."""
    with suppress(EOFError, OSError):
        pipe.recv()  # nothing is ever sent
    os._exit(1)
