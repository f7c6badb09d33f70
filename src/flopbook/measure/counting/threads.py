"""Threads that are started while something is counted: what runs in them belongs to the count."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

#: Gives what to enter in a thread that the thread which asks is about to start; None where that is not its business.
Follower = Callable[[], AbstractContextManager | None]

_lock = threading.Lock()
_followers: list[Follower] = []
_plain_start = threading.Thread.start


@contextmanager
def follow_threads(follower: Follower) -> Iterator[None]:
    """Ask `follower`, in the thread that starts another one, what the other one enters while it runs."""
    with _lock:
        _followers.append(follower)
        threading.Thread.start = _start  # type: ignore[method-assign, assignment]
    try:
        yield
    finally:
        with _lock:
            _followers.remove(follower)
            if not _followers:
                threading.Thread.start = _plain_start  # type: ignore[method-assign]


def _start(thread: threading.Thread) -> None:
    entered = [context for follower in list(_followers) if (context := follower()) is not None]
    if entered:
        plain_run = thread.run

        def run() -> None:
            with ExitStack() as stack:
                for context in entered:
                    stack.enter_context(context)
                plain_run()

        thread.run = run  # type: ignore[method-assign]
    _plain_start(thread)
