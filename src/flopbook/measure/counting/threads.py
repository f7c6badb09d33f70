"""Count what runs in threads that are started while something is counted."""

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

#: Is called in a thread that starts another one. Returns the context in which the new thread runs, or None.
Follower = Callable[[], AbstractContextManager | None]

_lock = threading.Lock()
_followers: list[Follower] = []
_plain_start = threading.Thread.start


@contextmanager
def follow_threads(follower: Follower) -> Iterator[None]:
    """Call `follower` in each thread that starts another; run that in its context."""
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
