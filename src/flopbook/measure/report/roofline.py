"""Put the seconds that a roofline allows beside those that a step took, by operator and by module."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from flopbook.counts.breakdown import upwards
from flopbook.measure.machine import Roof
from flopbook.measure.profiler import TimeProfile
from flopbook.measure.report.work import Work


class Line(NamedTuple):
    """Holds what an operator or a module does, and how long it may take and took.

    Attributes
    ----------
    name : str
        The operator, in all phases; or the path of the module.
    flops : int
        FLOPs of all kinds.
    read, written : int
        Bytes.
    allowed_seconds : float or None
        What the roof allows; None without a roof.
    seconds : float or None
        What it took; None if untimed.
    """

    name: str
    flops: int
    read: int
    written: int
    allowed_seconds: float | None
    seconds: float | None

    @property
    def intensity(self) -> float | None:
        """Divide FLOPs by bytes; None where no bytes move."""
        moved = self.read + self.written
        return self.flops / moved if moved else None

    @property
    def reached(self) -> float | None:
        """Divide the seconds that the roof allows by those that were taken; None if one is unknown."""
        if self.allowed_seconds is None or not self.seconds:
            return None
        return self.allowed_seconds / self.seconds


def line(name: str, work: Iterable[Work], roof: Roof | None, seconds: float | None) -> Line:
    """Add up work, and the seconds that a roof allows for each part of it.

    Parameters
    ----------
    name : str
        Of the line.
    work : iterable of Work
        What is done. Each operator of each module is at its own roof, for one runs after the other.
    roof : Roof or None
        Peak and bandwidth.
    seconds : float or None
        What the work took.

    Examples
    --------
    >>> roof = Roof("H100 SXM", "bf16", 989.4e12, 3.35e12, "a data sheet")
    >>> found = line("aten::mm", [Work("forward", "", "aten::mm", 2 * 64**3, 16384, 8192)], roof, seconds=1e-6)
    >>> found.intensity, found.allowed_seconds, round(found.reached, 4)
    (21.33..., 7.33...e-09, 0.0073)
    """
    done = list(work)
    allowed = sum(roof.seconds(part.flops, part.bytes) for part in done) if roof else None
    return Line(
        name,
        sum(part.flops for part in done),
        sum(part.read for part in done),
        sum(part.written for part in done),
        allowed,
        seconds,
    )


def by_operator(work: Iterable[Work], roof: Roof | None, spent: TimeProfile | None) -> list[Line]:
    """List the operators in all phases, most seconds first; most bytes first if untimed."""
    seconds: defaultdict[str, float] = defaultdict(float)
    for row in spent.operators if spent else ():
        seconds[row.operator] += row.seconds
    done = defaultdict(list)
    for part in work:
        done[part.operator].append(part)
    lines = [line(name, parts, roof, seconds.get(name)) for name, parts in done.items()]
    return sorted(lines, key=lambda found: (found.seconds or 0, found.read + found.written), reverse=True)


def by_module(work: Iterable[Work], roof: Roof | None, latency: Mapping[str, float]) -> dict[str, Line]:
    """Return the forward pass of each module with all that it holds, by path."""
    done = defaultdict(list)
    for part in work:
        if part.phase == "forward":
            for path in upwards(part.module):
                done[path].append(part)
    return {path: line(path, parts, roof, latency.get(path)) for path, parts in done.items()}
