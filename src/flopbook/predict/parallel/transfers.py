"""Say what a rank gives to collectives and sends to other ranks."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sympy import Expr, Integer

from flopbook.checks import one_of, quoted
from flopbook.collectives import COLLECTIVES, ring_bytes
from flopbook.predict.values import evaluate, number

__all__ = ["Transfer", "carried", "passed_around"]

_PHASES = ("forward", "backward", "recomputed", "optimizer")


@dataclass(frozen=True)
class Transfer:
    """Describes equal calls of one collective in a phase of a step.

    Attributes
    ----------
    collective : str
        A name in `flopbook.collectives.COLLECTIVES`.
    phase : str
        Such as ``forward``.
    payload : int or sympy.Expr
        Bytes of the whole tensor in one call: what an all-reduce sums, what an all-gather gives to each rank, what a
        rank gives to a reduce-scatter or an all-to-all.
    ranks : int or sympy.Expr
        How many ranks take part.
    calls : int or sympy.Expr
        How often it is called.

    Raises
    ------
    TypeError, ValueError
        If a name is not known, or a number is neither a whole one nor made of axes.

    Examples
    --------
    >>> from flopbook.predict import B, D, axis
    >>> Transfer("all-reduce", "forward", 4 * B * D, axis("t")).ring
    8*B*D*(t - 1)/t
    """

    collective: str
    phase: str
    payload: Expr | int
    ranks: Expr | int
    calls: Expr | int = 1

    def __post_init__(self):
        one_of("collective", self.collective, COLLECTIVES)
        one_of("phase", self.phase, _PHASES)
        for name in ("payload", "ranks", "calls"):
            number(name, getattr(self, name))

    @property
    def bytes(self) -> Expr:
        """Return the bytes of the tensors of all calls."""
        return Integer(1) * self.calls * self.payload

    @property
    def ring(self) -> Expr:
        """Return the bytes that each rank sends in all calls where a ring runs them."""
        return self.calls * ring_bytes(self.collective, Integer(1) * self.payload, self.ranks)


def carried(
    transfers: Iterable[Transfer], sizes: Mapping[str, int] | None = None
) -> dict[tuple[str, str], tuple[int, int, int]]:
    """Add up calls, bytes and bytes sent in a ring, for each collective and phase.

    Parameters
    ----------
    transfers : iterable of Transfer
        In any order.
    sizes : mapping of str to int, optional
        The size of each letter.

    Returns
    -------
    dict
        Calls, payload bytes and bytes that a ring makes each rank send, by collective and phase. Without what is not
        called and what has no bytes.

    Raises
    ------
    TypeError, ValueError
        If something else is given, or a letter has no size.

    Examples
    --------
    >>> from flopbook.predict import B, D
    >>> carried([Transfer("all-reduce", "forward", 4 * B * D, 2, calls=3)], dict(B=8, D=64))
    {('all-reduce', 'forward'): (3, 6144, 6144)}
    """
    sums: defaultdict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0, 0])
    for transfer in transfers:
        if not isinstance(transfer, Transfer):
            raise TypeError(
                f"{quoted(transfer)} is not a transfer: write Transfer('all-reduce', 'forward', 2 * B * D, 8)"
            )
        payload, ranks, calls = (
            int(evaluate(Integer(1) * getattr(transfer, name), sizes or {})) for name in ("payload", "ranks", "calls")
        )
        if payload and calls:
            ring = ring_bytes(transfer.collective, payload, ranks)
            for place, value in enumerate((calls, calls * payload, calls * ring)):
                sums[transfer.collective, transfer.phase][place] += value
    return {key: (calls, payload, ring) for key, (calls, payload, ring) in sums.items()}


def passed_around(transfer: Transfer) -> tuple[Transfer, Transfer]:
    """Replace a collective by parts that travel around a ring, from each rank to the next.

    Of an all-gather each rank passes on what came last, and of a reduce-scatter what came last with its own term added:
    for n ranks n - 1 parts, with as many bytes as a ring sends of the collective. So each part can be used while the
    next one travels.

    Parameters
    ----------
    transfer : Transfer
        An all-gather or a reduce-scatter.

    Returns
    -------
    tuple of Transfer
        What a rank sends and what it receives.

    Raises
    ------
    TypeError, ValueError
        If it is another collective.

    Notes
    -----
    Liu and others, *Ring Attention with Blockwise Transformers for Near-Infinite Context* (2023).

    Examples
    --------
    >>> send, receive = passed_around(Transfer("all-gather", "forward", 4096, 4))
    >>> send.payload, send.calls, send.ring
    (1024, 3, 3072)
    """
    if not isinstance(transfer, Transfer):
        raise TypeError(f"{quoted(transfer)} is not a transfer: write passed_around(move.transfer)")
    one_of("collective", transfer.collective, ("all-gather", "reduce-scatter"))
    payload = Integer(1) * transfer.payload / transfer.ranks
    calls = transfer.calls * (transfer.ranks - 1)
    send, receive = (Transfer(kind, transfer.phase, payload, 2, calls) for kind in ("send", "receive"))
    return send, receive
