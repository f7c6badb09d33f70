"""Hold what a rank gives to collectives and sends to other ranks."""

from collections.abc import Iterable
from typing import NamedTuple


class Transfer(NamedTuple):
    """Describes one kind of collective call.

    Attributes
    ----------
    collective : str
        A name in `flopbook.collectives.COLLECTIVES`, such as ``all-reduce``.
    phase : str
        The phase of the step in which it was called.
    module : str
        Path of the module that called it; empty outside of all modules.
    ranks : int
        How many ranks took part.
    """

    collective: str
    phase: str
    module: str
    ranks: int


class Sent(NamedTuple):
    """Adds up the calls of a collective.

    Attributes
    ----------
    calls : int
        How many there were.
    payload : int
        Bytes of the whole tensors.
    ring : int
        Bytes that this rank sends where a ring runs them.
    """

    calls: int
    payload: int
    ring: int

    @classmethod
    def sum(cls, several: Iterable["Sent"]) -> "Sent":
        """Add up several.

        Examples
        --------
        >>> Sent.sum([Sent(1, 2048, 2048), Sent(2, 64, 32)])
        Sent(calls=3, payload=2112, ring=2080)
        """
        return cls(*map(sum, zip(*several, strict=True))) if (several := list(several)) else cls(0, 0, 0)
