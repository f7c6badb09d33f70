"""Draw the hours that reports of training runs print beside the least that their FLOPs allow."""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from math import ceil, floor, log10

from flopbook.checks import quoted
from flopbook.drawing.controls import Choice
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, element, line, rect, words
from flopbook.predict.runs import ReportedRun
from flopbook.tables import Table

__all__ = ["hours_of_runs"]

_ROW, _TOP, _LEFT, _RIGHT = 34.0, 8.0, 16.0, 16.0
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


def hours_of_runs(
    runs: Mapping[str, ReportedRun], shares: tuple[Fraction, ...] = (Fraction(2, 5), Fraction(1))
) -> Picture:
    """Draw the device-hours that each report prints, and those that its FLOPs take at a share of the peak.

    Parameters
    ----------
    runs : mapping of str to ReportedRun
        What is known of each run, by its name.
    shares : tuple of Fraction
        The shares of the peak that a reader can choose, the first one at the start.

    Raises
    ------
    TypeError, ValueError
        If there is no run, or one is something else.

    Examples
    --------
    >>> runs = {"a small run": ReportedRun(36 * 10**14, 4, 10**12), "a waste": ReportedRun(36 * 10**14, 100, 10**12)}
    >>> picture = hours_of_runs(runs)
    >>> print(picture.frame(share="100%").sentence)
    If devices always ran at 100% of their peak, the FLOPs would take the filled hours; a circle stands at \
those that are printed. a small run prints 4.00 times as many, a waste 100.00 times.
    """
    if not isinstance(runs, Mapping):
        raise TypeError(
            f"{quoted(runs)} is not a mapping of runs: write {{'a run': ReportedRun(flops, device_hours, peak)}}"
        )
    if not runs:
        raise ValueError("no runs are given: write hours_of_runs({'a run': ReportedRun(flops, device_hours, peak)})")
    for name, run in runs.items():
        if not isinstance(run, ReportedRun):
            raise TypeError(
                f"{name}: {quoted(run)} is not a run: write ReportedRun(flops, device_hours, peak_flop_per_s)"
            )
    chosen = {f"{float(share):.0%}": share for share in shares}
    ends = [
        float(hours)
        for run in runs.values()
        for hours in (run.device_hours, *map(run.device_hours_at, chosen.values()))
    ]
    first = floor(log10(min(ends)))
    last = max(ceil(log10(max(ends))), first + 1)

    def place(hours: Fraction | float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (log10(hours) - first) / (last - first)

    def draw(share: str) -> Frame:
        hours = {name: run.device_hours_at(chosen[share]) for name, run in runs.items()}
        y = _TOP + len(runs) * _ROW
        shapes = [
            *(line(place(10**power), _TOP, place(10**power), y, "faint") for power in range(first, last + 1)),
            *(
                words(place(10**power), y + 12, f"10{str(power).translate(_RAISED)}")
                for power in range(first, last + 1)
            ),
        ]
        shapes.append(words(WIDTH / 2, y + 27, "device-hours"))
        for row, (name, run) in enumerate(runs.items()):
            left, right = place(hours[name]), place(run.device_hours)
            y = _TOP + row * _ROW
            shapes += _bar(left, right, y + 18)
            shapes.append(words(WIDTH / 2, y + 7, f"{name}: {float(run.utilization):.1%} of the peak"))
        head = ["run", f"device-hours at {share}", "printed", "share of the peak"]
        rows = [
            (name, f"{float(hours[name]):,.0f}", f"{float(run.device_hours):,.0f}", f"{float(run.utilization):.1%}")
            for name, run in runs.items()
        ]
        return Frame(shapes, _said(share, hours, runs), Table(head, rows))

    height = _TOP + len(runs) * _ROW + 36
    return Picture(
        "claimed-hours", "Device-hours that reports print, and that their FLOPs take", height, draw,
        [Choice("share", "Devices at", list(chosen))],
    )  # fmt: skip


def _bar(left: float, right: float, y: float) -> Iterator[str]:
    """Draw the hours that the FLOPs take, those beyond them, and a circle at what is printed."""
    yield rect(_LEFT, y, max(left - _LEFT, 0.0), 10, "forward full")
    yield line(min(left, right), y + 5, max(left, right), y + 5, stroke_width=2, stroke_dasharray="4 3")
    yield element("circle", cx=right, cy=y + 5, r=5, stroke_width=2)


def _said(share: str, hours: Mapping[str, Fraction], runs: Mapping[str, ReportedRun]) -> str:
    times = {name: Fraction(run.device_hours) / hours[name] for name, run in runs.items()}
    least, most = min(times, key=times.__getitem__), max(times, key=times.__getitem__)
    said = (
        f"If devices always ran at {share} of their peak, the FLOPs would take the filled hours; "
        "a circle stands at those that are printed."
    )
    if len(runs) == 1:
        return f"{said} {least} prints {float(times[least]):.2f} times as many."
    return f"{said} {least} prints {float(times[least]):.2f} times as many, {most} {float(times[most]):.2f} times."
