"""Know how many seconds are left for all parts."""

from time import monotonic


class Clock:
    """Counts down from so many seconds.

    Examples
    --------
    >>> Clock(60).left > 59
    True
    """

    def __init__(self, seconds: float):
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds that are left; negative when they are over."""
        return self._end - monotonic()
