"""Draw what many devices do over time: a lane for each, with computation, communication and bubbles."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import count, pairwise
from typing import NamedTuple

from flopbook import checks
from flopbook.checks import quoted
from flopbook.colours import MEANINGS
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, words
from flopbook.tables import Table, Total
from flopbook.units import plain

_LEFT, _RIGHT, _LANE = 70.0, WIDTH - 14.0, 40.0
_LETTER = 7.0  # units that a letter is wide, with some room
_SENT = "bytes"  # the kind of an event that moves bytes between devices


class Event(NamedTuple):
    """Says what a device does from one time to another.

    Attributes
    ----------
    device : str
        The device.
    kind : str
        What it means, such as ``forward``, ``backward``, ``optimizer``, or ``bytes`` for communication.
    start, end : int or Fraction
        When, in any unit.
    text : str
        What stands on it, such as the number of a micro-batch.
    row, rows : int
        In which of how many equal rows of the device's lane it stands, counted from 0.
    hollow : bool
        Whether only its outline is drawn.
    """

    device: str
    kind: str
    start: int | Fraction
    end: int | Fraction
    text: str = ""
    row: int = 0
    rows: int = 1
    hollow: bool = False


class Scale(NamedTuple):
    """Turns times into places from left to right.

    Attributes
    ----------
    longest : int or Fraction
        The time at the right end.
    left, right : float
        Where the scale begins and ends.
    """

    longest: int | Fraction
    left: float = _LEFT
    right: float = _RIGHT

    def at(self, time: int | Fraction) -> float:
        """Return the place of a time."""
        return self.left + float(time / Fraction(self.longest)) * (self.right - self.left)


def device_timeline(schedules: Mapping[str, Sequence[Event]], unit: str) -> Picture:
    """Draw a lane for each device: what it computes, above it what it sends, and where it waits.

    A device computes one thing at a time, and communicates one thing at a time beside it.

    Parameters
    ----------
    schedules : mapping of str to sequence of Event
        What the reader chooses from, by name. All have the same devices.
    unit : str
        The unit of the times, such as ``ms``.

    Raises
    ------
    ValueError
        If two events of a device overlap, one ends before it starts or has an unknown kind, or two schedules have
        other devices.

    Examples
    --------
    >>> two = [Event("GPU 0", "forward", 0, 1), Event("GPU 0", "bytes", 1, 2), Event("GPU 1", "forward", 2, 3)]
    >>> one = [Event("GPU 0", "forward", 0, 1), Event("GPU 1", "forward", 0, 1)]
    >>> picture = device_timeline({"one after the other": two, "at once": one}, "ms")
    >>> print(picture.frame().sentence)
    One after the other: 2 devices take 3 ms and compute for 33.3% of them; for 66.7% they wait. Of 1 ms of \
communication, 0 ms are hidden behind computation.
    """
    lanes = {name: _lanes(events) for name, events in schedules.items()}
    name, devices = next((name, list(lane)) for name, lane in lanes.items())
    for other, lane in lanes.items():
        if sorted(lane) != sorted(devices):
            raise ValueError(
                f"{quoted(other)} has the devices {', '.join(sorted(lane))}, and {quoted(name)} has others"
            )
    longest = max(event.end for events in schedules.values() for event in events)

    def draw(schedule: str = name) -> Frame:
        lane, end = lanes[schedule], max(event.end for event in schedules[schedule])
        computed = {device: _total(_computing(lane[device])) for device in devices}
        sent = {device: _total(_sending(lane[device])) for device in devices}
        hidden = {device: _hidden(lane[device]) for device in devices}
        rows = [_row(device, computed[device], sent[device], hidden[device], end) for device in devices]
        sums = [sum(each.values(), Fraction()) for each in (computed, sent, hidden)]
        head = ["", f"computes, {unit}", f"sends, {unit}", f"of it hidden, {unit}", f"waits, {unit}"]
        total = Total(_row("all", sums[0], sums[1], sums[2], end * len(devices)))
        busy = Fraction(sum(computed.values()), end * len(devices))
        sentence = (
            f"{schedule[0].upper()}{schedule[1:]}: {len(devices)} devices take {plain(end)} {unit} and compute for "
            f"{float(busy):.1%} of them; for {float(1 - busy):.1%} they wait."
        )
        if any(sent.values()):
            sentence += (
                f" Of {plain(sum(sent.values()))} {unit} of communication, {plain(sum(hidden.values()))} {unit} "
                "are hidden behind computation."
            )
        scale = Scale(longest)
        shapes = time_axis(_LANE * len(devices), scale, unit)
        for row, device in enumerate(devices):
            top = _LANE * row
            shapes.append(words(_LEFT - 6, top + 24, device, "end"))
            shapes += draw_lane(_computing(lane[device]), end, scale, top + 14, 20)
            shapes += draw_events(_sending(lane[device]), scale, top + 4, 8)
        return Frame(shapes, sentence, Table(head, [*rows, total]))

    controls = [Choice("schedule", "Schedule", list(schedules))] if len(schedules) > 1 else []
    return Picture("timeline", "What devices do over time", _LANE * len(devices) + 28, draw, controls)


def _lanes(events: Sequence[Event]) -> dict[str, list[Event]]:
    """Return the events of each device, in order of time."""
    lanes: dict[str, list[Event]] = {}
    for event in events:
        checks.one_of("kind", event.kind, MEANINGS)
        if not 0 <= event.start < event.end:
            raise ValueError(f"{quoted(event)} ends before it starts: give times from 0 on, the earlier first")
        lanes.setdefault(event.device, []).append(event)
    for lane in lanes.values():
        lane.sort(key=lambda event: event.start)
        for same in (_computing(lane), _sending(lane)):
            for before, event in pairwise(same):
                if event.start < before.end:
                    raise ValueError(f"{quoted(event)} starts before {quoted(before)} ends: let one wait for the other")
    return lanes


def _computing(lane: Sequence[Event]) -> list[Event]:
    return [event for event in lane if event.kind != _SENT]


def _sending(lane: Sequence[Event]) -> list[Event]:
    return [event for event in lane if event.kind == _SENT]


def _total(events: Sequence[Event]) -> Fraction:
    return sum((Fraction(event.end - event.start) for event in events), Fraction())


def _hidden(lane: Sequence[Event]) -> Fraction:
    """Return how long a device sends and computes at once."""
    both = ((sent, computed) for sent in _sending(lane) for computed in _computing(lane))
    overlaps = (min(one.end, other.end) - max(one.start, other.start) for one, other in both)
    return sum((Fraction(overlap) for overlap in overlaps if overlap > 0), Fraction())


def _row(name: str, computed: Fraction, sent: Fraction, hidden: Fraction, end: int | Fraction) -> tuple[str, ...]:
    return name, plain(computed), plain(sent), plain(hidden), plain(end - computed)


def _bubbles(lane: Sequence[Event], end: int | Fraction) -> Iterator[tuple[int | Fraction, int | Fraction]]:
    """Yield when a device does not compute."""
    at: int | Fraction = 0
    for event in lane:
        if event.start > at:
            yield at, event.start
        at = event.end
    if at < end:
        yield at, end


def draw_lane(lane: Sequence[Event], end: int | Fraction, scale: Scale, y: float, height: float) -> Iterator[str]:
    """Draw what a device does one after the other, and dashed where it waits.

    Parameters
    ----------
    lane : sequence of Event
        In order of time.
    end : int or Fraction
        Until when it waits.
    scale : Scale
        Where times stand.
    y, height : float
        Upper end and height of the lane.
    """
    waits = [(scale.at(start), scale.at(stop), y, height) for start, stop in _bubbles(lane, end)]
    if waits:
        yield _boxes(waits, "left-out")
    yield from draw_events(lane, scale, y, height)


def draw_events(events: Sequence[Event], scale: Scale, y: float, height: float) -> Iterator[str]:
    """Draw events in a lane, each as long as it takes, with its text where there is room for it."""
    looks: dict[str, list[tuple[float, float, float, float]]] = {}
    for event in events:
        high = height / event.rows
        box = (scale.at(event.start), scale.at(event.end), y + event.row * high, high)
        looks.setdefault(f"{event.kind}{' line' * event.hollow}", []).append(box)
    for look, boxes in looks.items():
        yield _boxes(boxes, look)
    for event in events:
        start, end = scale.at(event.start), scale.at(event.end)
        if event.text and end - start >= _LETTER * len(event.text):
            yield words(round((start + end) / 2, 1), y + (event.row + 0.5) * height / event.rows, event.text)


def _boxes(boxes: Sequence[tuple[float, float, float, float]], look: str) -> str:
    """Draw boxes that look alike as one shape, which takes a page a quarter of the bytes."""
    outlines = (
        f"M{_short(start)} {_short(top)}h{_short(end - start)}v{_short(high)}h{_short(start - end)}z"
        for start, end, top, high in boxes
    )
    return element("path", d="".join(outlines), kind=look)


def _short(place: float) -> str:
    return f"{place:.1f}".removesuffix(".0")


def time_axis(y: float, scale: Scale, unit: str) -> list[str]:
    """Draw an axis below lanes, with some round times."""
    gap = next(
        step for power in count() for step in (10**power, 2 * 10**power, 5 * 10**power) if scale.longest / step < 6
    )
    times = range(0, int(scale.longest) + 1, gap) if scale.longest >= 1 else (0, scale.longest)
    marks = [words(round(scale.at(time), 1), y + 18, plain(time)) for time in times]
    return [line(scale.left, y + 6, scale.right, y + 6), *marks, words(scale.left - 20, y + 18, unit, "end")]
