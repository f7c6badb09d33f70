"""Plots of measurements beside formulas: witnesses, sweeps, the roofline."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from flopbook.figures.style import COLOURS, MARKS, Prefixed, axes, spans, tidy

if TYPE_CHECKING:
    from flopbook.comparison import Comparison


def plot_comparison(comparison: "Comparison", ax: Axes | None = None) -> Axes:
    """FLOPs of each phase, a bar for each witness.

    Examples
    --------
    >>> from flopbook.comparison import Comparison
    >>> both = {"forward": {"predicted": 48, "counted": 48}}
    >>> ax = plot_comparison(Comparison(("predicted", "counted"), (), both, {}))
    >>> ax.get_xlabel()
    'FLOPs'
    """
    phases = list(comparison.totals)
    ax = axes(ax, 0.8 + 0.8 * len(phases))
    height = 0.8 / len(comparison.witnesses)
    for number, witness in enumerate(comparison.witnesses):
        places = [place + number * height for place in range(len(phases))]
        flops = [comparison.totals[phase][witness] for phase in phases]
        ax.barh(places, flops, height * 0.9, label=witness, color=COLOURS[number % len(COLOURS)])
    middle = height * (len(comparison.witnesses) - 1) / 2
    ax.set_yticks([place + middle for place in range(len(phases))], phases)
    ax.invert_yaxis()
    ax.set_xlabel("FLOPs")
    ax.xaxis.set_major_formatter(EngFormatter())
    return tidy(ax)


def plot_sweep(
    x: Sequence[float],
    series: Mapping[str, Sequence[float]],
    *,
    x_label: str,
    y_label: str,
    ax: Axes | None = None,
) -> Axes:
    """One line for each series over a sweep; axes that span magnitudes are logarithmic.

    Parameters
    ----------
    x : sequence of float
        What was swept.
    series : mapping of str to sequence of float
        A value for each `x`, by the name of the series.
    x_label, y_label : str
        With units.
    ax : Axes, optional
        Where to draw; else a new figure.

    Examples
    --------
    >>> ax = plot_sweep([1, 10, 100], {"2D": [2, 20, 200]}, x_label="D", y_label="FLOPs")
    >>> ax.get_xscale()
    'log'
    """
    ax = axes(ax)
    for number, (name, values) in enumerate(series.items()):
        color, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        ax.plot(x, values, label=name, markersize=5, color=color, marker=mark)
    if spans(x):
        ax.set_xscale("log")
    if spans([value for values in series.values() for value in values]):
        ax.set_yscale("log")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    return tidy(ax)


def plot_roofline(
    peak_flop_per_s: float,
    bytes_per_s: float,
    points: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    ax: Axes | None = None,
) -> Axes:
    """What a device can reach at each arithmetic intensity, and what was reached.

    Parameters
    ----------
    peak_flop_per_s, bytes_per_s : float
        The flat and the rising part of the roof.
    points : mapping of str to pair of sequences
        Intensities in FLOP per byte, and the FLOP/s there, by the name of the series.
    ax : Axes, optional
        Where to draw; else a new figure.

    Examples
    --------
    >>> ax = plot_roofline(312e12, 2.039e12, {"products": ([1.0, 800.0], [1e12, 250e12])})
    >>> ax.get_xlabel()
    'FLOP per byte'
    """
    ax = axes(ax)
    ridge = peak_flop_per_s / bytes_per_s
    reached = [intensity for intensities, _ in points.values() for intensity in intensities]
    left, right = min([ridge, *reached]) / 2, max([ridge, *reached]) * 2
    ax.plot([left, ridge, right], [left * bytes_per_s, *[peak_flop_per_s] * 2], color=COLOURS[0], label="roof")
    for number, (name, (intensities, rates)) in enumerate(points.items(), 1):
        ax.plot(intensities, rates, MARKS[number % len(MARKS)], color=COLOURS[number % len(COLOURS)], label=name)
    ax.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="FLOP/s")
    ax.yaxis.set_major_formatter(Prefixed())
    ax.yaxis.set_minor_formatter(Prefixed(minor_thresholds=(1, 0.4)))
    return tidy(ax)
