"""Say how far a long measurement is, where somebody sits at a terminal."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event, Thread
from time import monotonic

#: Seconds before anything is said, and between two updates.
_PATIENCE = 1.0


class Progress:
    """The stage that runs now, of how many, and the seconds since the first."""

    def __init__(self, stages: int):
        self._stages, self._number, self._name = stages, 0, ""
        self._started, self._done = monotonic(), Event()

    def stage(self, name: str) -> None:
        """Begin the next stage."""
        self._number, self._name = self._number + 1, name

    def _watch(self) -> None:
        said = False
        while not self._done.wait(_PATIENCE):
            said = True
            seconds = monotonic() - self._started
            _say(f"{self._number} of {self._stages}: {self._name}, {seconds:.0f} s")
        if said:
            _say("")


def _say(line: str) -> None:
    """Put a line in place of the one before it."""
    print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)


@contextmanager
def show_progress(stages: int) -> Iterator[Progress]:
    """Show a line on standard error that comes after a second and goes at the end; none without a terminal."""
    shown = Progress(stages)
    watcher = Thread(target=shown._watch, daemon=True)
    if sys.stderr.isatty():
        watcher.start()
    try:
        yield shown
    finally:
        shown._done.set()
        if watcher.is_alive():
            watcher.join()
