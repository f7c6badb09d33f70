"""Bound the work of a trace, and show how far a long one is."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

#: Operators of the first run, at most; operators after it, at most, to which so many runs like the first are added.
_FIRST, _LATER, _RUNS = 100_000, 30_000, 30

#: Seconds before anything is shown, and between two updates.
_PATIENCE = 3.0


class TooMuchWork(Exception):  # noqa: N818  (the search says what was too much)
    """There are too many operators."""


class Work:
    """Count the operators and the runs of a trace.

    A model with 2**D layers would otherwise be traced for days.

    Attributes
    ----------
    most : int
        How many operators the trace may run in all.
    """

    def __init__(self):
        self._operators, self._runs, self.most = 0, 0, _FIRST
        self._shows = sys.stderr.isatty()
        self._started = self._shown = monotonic()

    def run(self) -> None:
        """Note that an operator runs."""
        self._operators += 1
        if self._operators > self.most:
            raise TooMuchWork
        if self._shows and self._operators % 100 == 0 and monotonic() > self._shown + _PATIENCE:
            self._shown = monotonic()
            _say(f"tracing: {self._runs} runs of the model, {self._shown - self._started:.0f} s")

    @contextmanager
    def one_run(self) -> Iterator[None]:
        """Note that the model runs, from its first to its last operator."""
        before = self._operators
        yield
        if not self._runs:
            self.most = self._operators + _LATER + _RUNS * (self._operators - before)
        self._runs += 1

    def end(self) -> None:
        """Take away the line that was shown."""
        if self._shown > self._started:
            _say("")


def _say(line: str) -> None:
    """Put a line in place of the one before it."""
    print(f"\r\x1b[K{line}", end="", file=sys.stderr, flush=True)
