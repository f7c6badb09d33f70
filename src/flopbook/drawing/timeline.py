"""Draw what many devices do over time: a lane for each, with computation, communication and bubbles."""

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from itertools import pairwise
from typing import NamedTuple

from flopbook import checks
from flopbook.checks import quoted
from flopbook.colours import MEANINGS
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.tables import Table, Total
from flopbook.units import plain

_LEFT, _RIGHT, _LANE = 70.0, WIDTH - 14.0, 40.0
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
    """

    device: str
    kind: str
    start: int | Fraction
    end: int | Fraction
    text: str = ""


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
    One after the other: 2 devices take 3 ms and compute for 33.3% of them; 66.7% are bubbles. Of 1 ms of \
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
            f"{float(busy):.1%} of them; {float(1 - busy):.1%} are bubbles."
        )
        if any(sent.values()):
            sentence += (
                f" Of {plain(sum(sent.values()))} {unit} of communication, {plain(sum(hidden.values()))} {unit} "
                "are hidden behind computation."
            )
        shapes = _axis(_LANE * len(devices), longest, unit)
        for row, device in enumerate(devices):
            shapes += _lane(row, lane[device], end, longest)
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
    for event in _computing(lane):
        if event.start > at:
            yield at, event.start
        at = event.end
    if at < end:
        yield at, end


def _lane(row: int, lane: Sequence[Event], end: int | Fraction, longest: int | Fraction) -> Iterator[str]:
    """Draw a device: what it sends, and below it what it computes and where it waits."""
    top = _LANE * row
    yield words(_LEFT - 6, top + 24, lane[0].device, "end")
    for start, stop in _bubbles(lane, end):
        yield rect(_across(start, longest), top + 14, _across(stop, longest) - _across(start, longest), 20, "left-out")
    for event in lane:
        x, width = _across(event.start, longest), _across(event.end, longest) - _across(event.start, longest)
        y, height = (top + 4, 8) if event.kind == _SENT else (top + 14, 20)
        yield rect(x, y, width, height, event.kind)
        if event.text:
            yield words(x + width / 2, y + height / 2, event.text)


def _axis(y: float, longest: int | Fraction, unit: str) -> list[str]:
    times = [Fraction(longest) * quarter / 4 for quarter in range(5)]
    marks = [words(_across(time, longest), y + 18, plain(time)) for time in times]
    return [line(_LEFT, y + 6, _RIGHT, y + 6), *marks, words(_LEFT - 20, y + 18, unit, "end")]


def _across(time: int | Fraction, longest: int | Fraction) -> float:
    return _LEFT + float(time / Fraction(longest)) * (_RIGHT - _LEFT)
