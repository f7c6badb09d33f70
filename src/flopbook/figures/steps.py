"""Plot what a step spends: seconds, FLOPs and bytes."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, PercentFormatter

from flopbook.colours import MEANINGS
from flopbook.counts.breakdown import Breakdown
from flopbook.counts.tally import PHASES
from flopbook.figures.style import COLOURS, axes, tidy

if TYPE_CHECKING:
    from flopbook.measure.memory import MemoryProfile
    from flopbook.measure.profiler import TimeProfile
    from flopbook.measure.report.bottlenecks import Share

_MOST = 10  # operators in a picture; the rest are one bar
_REST = "all others"

Bars = dict[str, dict[str, float]]


def plot_operator_times(spent: "TimeProfile", ax: Axes | None = None) -> Axes:
    """Plot the seconds of each operator, by phase.

    Examples
    --------
    >>> from flopbook.measure.profiler import OperatorTime, TimeProfile
    >>> rows = OperatorTime("backward", "aten::mm", 2, 3e-4), OperatorTime("forward", "aten::addmm", 1, 1e-4)
    >>> plot_operator_times(TimeProfile(4e-4, rows)).get_xlabel()
    'seconds'
    """
    bars: Bars = {}
    for row in spent.operators:
        bars.setdefault(row.operator, {})[row.phase] = row.seconds
    return _stacked(bars, "seconds", ax)


def plot_operator_flops(counted: Breakdown, ax: Axes | None = None) -> Axes:
    """Plot the FLOPs of each operator, by phase: contractions, pointwise and fused."""
    bars: Bars = {}
    for row in counted.operators:
        bars.setdefault(row.operator, {})[row.phase] = row.cost.flops
    return _stacked(bars, "FLOPs", ax)


def _stacked(bars: Bars, x_label: str, ax: Axes | None) -> Axes:
    """Plot a bar for each name, coloured by phase, longest first; join small ones."""
    names = sorted(bars, key=lambda name: -sum(bars[name].values()))
    shown = {name: bars[name] for name in names[:_MOST]}
    if rest := names[_MOST:]:
        shown[_REST] = {phase: sum(bars[name].get(phase, 0) for name in rest) for phase in PHASES}
    ax = axes(ax, 0.9 + 0.3 * len(shown))
    start = dict.fromkeys(shown, 0.0)
    for phase in PHASES:
        parts = [bar.get(phase, 0) for bar in shown.values()]
        if any(parts):
            ax.barh(list(shown), parts, 0.75, list(start.values()), label=phase, color=MEANINGS[phase])
            start = {name: start[name] + part for name, part in zip(shown, parts, strict=True)}
    ax.invert_yaxis()
    ax.set_xlabel(x_label)
    ax.xaxis.set_major_formatter(EngFormatter())
    return tidy(ax)


def plot_categories(found: Mapping[str, "Share"], ax: Axes | None = None) -> Axes:
    """Plot the time of each category, in percent of the step.

    Examples
    --------
    >>> from flopbook.measure.report.bottlenecks import Share
    >>> plot_categories({"contractions": Share(0.75, 0.9, 11), "optimizer": Share(0.25, 0.1, 80)}).get_xlabel()
    'share of the time'
    """
    return _shares({"time": [share.time for share in found.values()]}, found, "share of the time", ax)


def plot_bottlenecks(found: Mapping[str, "Share"], ax: Axes | None = None) -> Axes:
    """Plot time beside FLOPs of each category, in percent of the step.

    Where the bar of time is longer, the step waits for something other than arithmetic.

    Examples
    --------
    >>> from flopbook.measure.report.bottlenecks import Share
    >>> plot_bottlenecks({"contractions": Share(0.75, 0.9, 11), "optimizer": Share(0.25, 0.1, 80)}).get_xlabel()
    'share of the step'
    """
    series = {"time": [share.time for share in found.values()], "FLOPs": [share.flops for share in found.values()]}
    return _shares(series, found, "share of the step", ax)


def _shares(series: Mapping[str, list[float]], names: Mapping[str, "Share"], x_label: str, ax: Axes | None) -> Axes:
    ax = axes(ax, 0.9 + 0.45 * len(names))
    height = 0.8 / len(series)
    for number, (label, values) in enumerate(series.items()):
        places = [place + (number - (len(series) - 1) / 2) * height for place in range(len(names))]
        drawn = ax.barh(places, values, height * 0.9, label=label, color=COLOURS[number])
        ax.bar_label(drawn, [f"{value:.1%}" for value in values], padding=3)
    ax.set_yticks(range(len(names)), list(names))
    ax.invert_yaxis()
    ax.set_xlim(0, 1.15 * max(max(values) for values in series.values()))
    ax.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.set_xlabel(x_label)
    return tidy(ax)


def plot_memory(held: "MemoryProfile", ax: Axes | None = None) -> Axes:
    """Plot the bytes that one step holds, operator by operator.

    Examples
    --------
    >>> from flopbook.measure.memory import MemoryProfile
    >>> plot_memory(MemoryProfile((4096, 4100, 0), ("aten::add", "aten::sum"))).get_ylabel()
    'bytes more than before the step'
    """
    ax = axes(ax)
    ax.step(range(1, len(held.bytes) + 1), held.bytes, where="post", color=MEANINGS["bytes"])
    ax.fill_between(range(1, len(held.bytes) + 1), held.bytes, step="post", alpha=0.25, color=MEANINGS["bytes"])
    ax.set_xlabel("operators so far")
    ax.set_ylabel("bytes more than before the step")
    ax.yaxis.set_major_formatter(EngFormatter())
    return tidy(ax)
