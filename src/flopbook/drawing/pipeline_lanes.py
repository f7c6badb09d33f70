"""Draw the ranks of a pipeline over a step, under a schedule to choose: who works on what, and who waits."""

from collections.abc import Iterator, Sequence
from fractions import Fraction

from flopbook import checks
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, rect, words
from flopbook.drawing.timeline import Event, Scale, draw_lane, time_axis
from flopbook.predict.parallel.schedules import BACKWARD, FORWARD, SCHEDULES, WEIGHT_GRADIENT, Run, Schedule
from flopbook.tables import Table, Total
from flopbook.units import plain

__all__ = ["pipeline_timeline"]

_LEFT, _RIGHT, _LANE, _TOP = 52.0, WIDTH - 50.0, 40.0, 20.0
_LEGEND = (
    ("forward", "forward"), ("backward", "backward"), ("backward line", "gradient of weights"), ("left-out", "waits"),
)  # fmt: skip


def pipeline_timeline(ranks: Sequence[int] = (2, 4), micro_batches: Sequence[int] = (4, 8)) -> Picture:
    """Draw a lane for each rank of a pipeline: which micro-batch it works on, and where it waits.

    The forward pass of a micro-batch takes a rank 1 unit of time, and each half of its backward pass as long.

    Parameters
    ----------
    ranks, micro_batches : sequence of int
        What the reader chooses from; the last of the ranks, and the first of the micro-batches, come first. All ranks
        divide all micro-batches.

    Raises
    ------
    ValueError
        If a number is not a whole one of at least 1, or ranks do not divide micro-batches.

    Examples
    --------
    >>> picture = pipeline_timeline()
    >>> print(picture.frame(schedule="1F1B").sentence)
    1F1B: 4 ranks and 4 micro-batches take 21 units of time. The ranks wait for 3/7 of it, 43%. In flight at the most: \
4 on the first rank, 1 on the last.
    """
    numbers = [checks.size("ranks", each) for each in ranks]
    runs = {(name, p, m): _run(SCHEDULES[name](p, m)) for name in SCHEDULES for p in numbers for m in micro_batches}
    longest = {(p, m): max(runs[name, p, m][1].length for name in SCHEDULES) for p in numbers for m in micro_batches}
    most = max(numbers)

    def draw(schedule: str, p: int, m: int) -> Frame:
        plan, run = runs[schedule, p, m]
        scale = Scale(longest[p, m], _LEFT, _RIGHT)
        flying = [plan.in_flight(rank) for rank in range(p)]
        rows = [
            (f"rank {rank}", plain(run.busy(rank)), plain(run.length - run.busy(rank)), flying[rank], _sent(plan, rank))
            for rank in range(p)
        ]
        head = ["", "works", "waits", "in flight at the most", "sends"]
        work = sum(run.busy(rank) for rank in range(p))
        total = Total(("all", plain(work), plain(p * run.length - work), "", sum(row[-1] for row in rows)))
        shapes = [*_legend(_TOP + _LANE * most + 40), words(WIDTH - 22, 8, "in flight")]
        shapes += time_axis(_TOP + _LANE * most, scale, "time")
        for rank in range(p):
            top = _TOP + _LANE * rank
            shapes.append(words(_LEFT - 6, top + 18, f"rank {rank}", "end"))
            shapes.append(words(WIDTH - 22, top + 18, f"{flying[rank]}", "strong"))
            shapes += draw_lane(list(_lane(run, rank, plan.chunks, p)), run.length, scale, top + 2, _LANE - 8)
        return Frame(shapes, _sentence(schedule, plan, run, flying), Table(head, [*rows, total]))

    controls = [
        Choice("schedule", "Schedule", list(SCHEDULES)),
        Slider("p", "p, ranks", numbers, start=numbers[-1]),
        Slider("m", "m, micro-batches", list(micro_batches)),
    ]
    return Picture("pipeline", "The ranks of a pipeline over a step", _TOP + _LANE * most + 50, draw, controls)


def _run(schedule: Schedule) -> tuple[Schedule, Run]:
    each = Fraction(1, schedule.chunks)  # a chunk has that share of a rank's layers
    return schedule, schedule.run(each, each, each)


def _lane(run: Run, rank: int, chunks: int, ranks: int) -> Iterator[Event]:
    """Yield a rank's events, a row for each of its chunks; micro-batches are counted from 1."""
    for event in run.events:
        if event.rank == rank:
            kind = FORWARD if event.action.kind == FORWARD else BACKWARD
            yield Event(
                "", kind, event.start, event.end, f"{event.action.micro_batch + 1}", event.action.stage // ranks,
                chunks, event.action.kind == WEIGHT_GRADIENT,
            )  # fmt: skip


def _sent(schedule: Schedule, rank: int) -> int:
    return sum(int(each.calls) for each in schedule.transfers(rank, 1) if each.collective == "send")


def _legend(y: float) -> Iterator[str]:
    x = 4.0
    for look, text in _LEGEND:
        yield rect(x, y - 5, 12, 10, look)
        yield words(x + 17, y, text, "start")
        x += 44 + 6.4 * len(text)


def _sentence(name: str, schedule: Schedule, run: Run, flying: Sequence[int]) -> str:
    share = run.bubble
    said = (
        f"{name}: {schedule.ranks} ranks and {schedule.micro_batches} micro-batches take {plain(run.length)} units of "
        f"time. The ranks wait for {share} of it, {float(share):.0%}."
    )
    each = f", each with {Fraction(1, schedule.chunks)} of a rank's layers" if schedule.chunks > 1 else ""
    return f"{said} In flight at the most: {flying[0]} on the first rank, {flying[-1]} on the last{each}."
