"""Put the ranks of a process group side by side: FLOPs, bytes and seconds of each."""

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from flopbook.counts.breakdown import Breakdown
from flopbook.counts.communication import Sent
from flopbook.counts.tally import PHASES
from flopbook.counts.views import dump, html_block, html_lines
from flopbook.tables import Cell, Table, Total
from flopbook.units import si

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.ranks/1"

#: The sum of all columns of one kind.
_ALL = "all"
#: What stands below the tables of several ranks.
_RATIO = "largest / mean: 1 where all ranks take the same; the others wait for the one that takes most."


class Rank(NamedTuple):
    """Holds what one rank takes for a step.

    Attributes
    ----------
    rank : int
        Its number in the group.
    flops : dict of str to int
        FLOPs of the contractions of each phase.
    pointwise : int
        FLOPs of all pointwise arithmetic.
    sent : dict of str to Sent
        Calls and bytes of each collective.
    kept : dict of str to int or None
        Bytes that the rank keeps, by kind; None where they were not weighed.
    seconds : float or None
        Seconds of a step; None where it was not timed.
    """

    rank: int
    flops: Mapping[str, int]
    pointwise: int
    sent: Mapping[str, Sent]
    kept: Mapping[str, int] | None = None
    seconds: float | None = None

    @classmethod
    def of(
        cls, rank: int, counted: Breakdown, kept: Mapping[str, int] | None = None, seconds: float | None = None
    ) -> Self:
        """Take from a count what is compared between ranks."""
        costs = counted.step.costs
        found: dict[str, list[Sent]] = {}
        for transfer, sent in counted.communication.items():
            found.setdefault(transfer.collective, []).append(sent)
        return cls(
            rank,
            {phase: costs[phase].contractions for phase in PHASES},
            counted.step.cost.pointwise + counted.step.cost.fused,
            {collective: Sent.sum(several) for collective, several in found.items()},
            kept,
            seconds,
        )


class _Column(NamedTuple):
    """Describes a column of a table of ranks."""

    heading: str
    value: Callable[[Rank], float | None]
    write: Callable[[Any], str] = "{:,}".format


@dataclass(frozen=True)
class Ranks:
    """Shows the ranks of a group side by side, made by :func:`flopbook.measure.distributed.gathering.gather`.

    It prints as text and, in a notebook, as tables, and holds plain data only.

    Attributes
    ----------
    ranks : tuple of Rank
        In the order of their numbers.

    Examples
    --------
    >>> ranks = Ranks((Rank(0, {"forward": 96}, 8, {}), Rank(1, {"forward": 32}, 8, {})))
    >>> print(ranks)
    FLOPs of rank   forward  pointwise
    0                    96          8
    1                    32          8
    largest / mean      1.5          1
    <BLANKLINE>
    largest / mean: 1 where all ranks take the same; the others wait for the one that takes most.
    >>> ranks.imbalance
    {'forward': 1.5, 'pointwise': 1.0}
    """

    ranks: tuple[Rank, ...]

    @property
    def imbalance(self) -> dict[str, float]:
        """Divide the largest amount of any rank by the mean of all, for each amount that some rank has.

        The names are phases, ``all`` where there are several, ``pointwise``, ``payload`` and ``ring`` of all
        collectives, ``kept`` for bytes and ``seconds``.
        """
        amounts = [
            *self._flops(),
            _Column("payload", lambda rank: Sent.sum(rank.sent.values()).payload),
            _Column("ring", lambda rank: Sent.sum(rank.sent.values()).ring),
            _Column("kept", lambda rank: None if rank.kept is None else sum(rank.kept.values())),
            _Column("seconds", lambda rank: rank.seconds),
        ]
        found = {column.heading: self._imbalance(column) for column in amounts}
        return {name: ratio for name, ratio in found.items() if ratio is not None}

    def _imbalance(self, column: _Column) -> float | None:
        """Return the largest over the mean; None where the ranks have nothing, or one is not known."""
        values = [column.value(rank) for rank in self.ranks]
        known = [value for value in values if value is not None]
        return max(known) * len(known) / sum(known) if len(known) == len(values) and any(known) else None

    def _some(self, columns: Sequence[_Column]) -> list[_Column]:
        """Return the columns in which some rank has something, and their sum where there are several."""
        found = [column for column in columns if any(map(column.value, self.ranks))]
        if len(found) > 1:
            found.append(_Column(_ALL, lambda rank: sum(column.value(rank) or 0 for column in columns)))
        return found

    def _flops(self) -> list[_Column]:
        phases = [_Column(phase, _flops_of(phase)) for phase in PHASES]
        return [*self._some(phases), _Column("pointwise", lambda rank: rank.pointwise)]

    def _carried(self, field: str) -> list[_Column]:
        """Return a column for each collective."""
        names = dict.fromkeys(name for rank in self.ranks for name in rank.sent)
        return self._some([_Column(name, _sent_by(name, field)) for name in names])

    def _kept(self) -> list[_Column]:
        names = dict.fromkeys(name for rank in self.ranks for name in rank.kept or {})
        return self._some([_Column(name, _kept_as(name)) for name in names])

    def _tables(self) -> Iterator[Table]:
        seconds = [_Column("seconds", lambda rank: rank.seconds, lambda value: si(value, "s"))]
        timed = seconds if any(rank.seconds for rank in self.ranks) else []
        yield self._table("FLOPs of rank", [*self._flops(), *timed], "FLOPs of each rank, and seconds of its step")
        yield from self._filled("payload bytes of rank", self._carried("payload"), "Bytes of each rank's collectives")
        yield from self._filled("ring bytes of rank", self._carried("ring"), "Bytes that each rank sends in a ring")
        yield from self._filled("bytes kept by rank", self._kept(), "Bytes that each rank keeps")

    def _filled(self, heading: str, columns: Sequence[_Column], caption: str) -> Iterator[Table]:
        if columns:
            yield self._table(heading, columns, caption)

    def _table(self, heading: str, columns: Sequence[_Column], caption: str) -> Table:
        rows: list[Sequence[Cell]] = [
            (str(rank.rank), *(None if (value := each.value(rank)) is None else each.write(value) for each in columns))
            for rank in self.ranks
        ]
        if len(rows) > 1:
            ratios = map(self._imbalance, columns)
            rows.append(Total(("largest / mean", *("" if ratio is None else f"{ratio:.4g}" for ratio in ratios))))
        return Table((heading, *(column.heading for column in columns)), rows, caption)

    def _notes(self) -> list[str]:
        lines = []
        if len(self.ranks) > 1:
            lines.append(_RATIO)
        if any(rank.sent for rank in self.ranks):
            lines.append("payload: the whole tensor that is summed, gathered or exchanged; ring: what the rank sends.")
        if any(rank.kept for rank in self.ranks):
            lines.append("activations: what is kept for the backward pass, at its most.")
        return lines

    def table(self) -> str:
        """Return the ranks as text: FLOPs and seconds, bytes of collectives, and bytes kept."""
        return "\n\n".join([*(table.text for table in self._tables()), "\n".join(self._notes())]).rstrip()

    def __str__(self) -> str:
        return self.table()

    def _repr_html_(self) -> str:
        return html_block(*(table.html for table in self._tables()), *html_lines(self._notes()))

    def as_dict(self) -> dict[str, Any]:
        """Return the ranks as the dictionaries and lists of their JSON form."""
        return {"schema": SCHEMA, "ranks": [_as_dict(rank) for rank in self.ranks], "imbalance": self.imbalance}

    def to_json(self, path: str | os.PathLike | None = None) -> str:
        """Return the ranks as JSON, in the form that the reference describes.

        Parameters
        ----------
        path : str or path, optional
            A file to write the JSON to, whole or not at all.

        Returns
        -------
        str
            The JSON.
        """
        return dump(self.as_dict(), path)


def _flops_of(phase: str) -> Callable[[Rank], int]:
    return lambda rank: rank.flops.get(phase, 0)


def _sent_by(collective: str, field: str) -> Callable[[Rank], int]:
    return lambda rank: getattr(rank.sent.get(collective, Sent(0, 0, 0)), field)


def _kept_as(kind: str) -> Callable[[Rank], int | None]:
    return lambda rank: (rank.kept or {}).get(kind)


def _as_dict(rank: Rank) -> dict[str, Any]:
    return {
        "rank": rank.rank,
        "flops": {**rank.flops, "total": sum(rank.flops.values())},
        "pointwise": rank.pointwise,
        "communication": [{"collective": name, **sent._asdict()} for name, sent in rank.sent.items()],
        "kept_bytes": rank.kept and dict(rank.kept),
        "seconds": rank.seconds,
    }
