"""Tell how many seconds are left for all parts."""

from time import monotonic


class Clock:
    """Counts down from a number of seconds.

    Examples
    --------
    >>> Clock(60).left > 59
    True
    """

    def __init__(self, seconds: float):
        self._end = monotonic() + seconds

    @property
    def left(self) -> float:
        """Return the seconds that are left; negative when the time is over."""
        return self._end - monotonic()
