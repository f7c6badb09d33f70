"""Plot measurements beside formulas: witnesses, sweeps, the roofline."""

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from flopbook.checks import positive, quoted
from flopbook.figures.style import COLOURS, MARKS, MEASURED, Prefixed, axes, check_named, check_numbers, spans, tidy

if TYPE_CHECKING:
    from flopbook.comparison import Comparison


def plot_comparison(comparison: "Comparison", ax: Axes | None = None) -> Axes:
    """Plot the FLOPs of each phase, a bar for each witness.

    Raises
    ------
    TypeError
        If something else than a comparison is given.

    Examples
    --------
    >>> from flopbook.comparison import Comparison
    >>> both = {"forward": {"predicted": 48, "counted": 48}}
    >>> ax = plot_comparison(Comparison(("predicted", "counted"), (), both, {}))
    >>> ax.get_xlabel()
    'FLOPs'
    """
    if not hasattr(comparison, "witnesses"):
        raise TypeError(
            f"{quoted(comparison)} is not a comparison: write plot_comparison(compare(step, counted, sizes=...))"
        )
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
    """Plot series over a sweep; axes that span magnitudes are logarithmic.

    A series whose name has the word of a witness that measures, such as "counted" or "timed", is drawn as open marks,
    any other as a line, so that each can be seen where both agree.

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

    Raises
    ------
    TypeError, ValueError
        If `x` and the series are not lists of finite numbers of one length.

    Examples
    --------
    >>> ax = plot_sweep([1, 10, 100], {"2D": [2, 20, 200]}, x_label="D", y_label="FLOPs")
    >>> ax.get_xscale()
    'log'
    """
    check_numbers("x", x)
    check_named("[2, 20, 200]", series)
    for name, values in series.items():
        check_numbers(name, values, like=x)
    ax = axes(ax)
    for number, (name, values) in enumerate(series.items()):
        color, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        if MEASURED.intersection(re.findall(r"\w+", name)):
            ax.plot(x, values, mark, label=name, markersize=7, color=color, fillstyle="none", markeredgewidth=1.5)
        else:
            ax.plot(x, values, label=name, markersize=4, color=color, marker=mark)
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
    """Plot what a device can reach at each arithmetic intensity, and what was reached.

    Parameters
    ----------
    peak_flop_per_s, bytes_per_s : float
        The flat and the rising part of the roof.
    points : mapping of str to pair of sequences
        Intensities in FLOP per byte, and the FLOP/s there, by the name of the series.
    ax : Axes, optional
        Where to draw; else a new figure.

    Raises
    ------
    TypeError, ValueError
        If peak and bandwidth are not positive numbers, or the points not pairs of lists of one length.

    Examples
    --------
    >>> ax = plot_roofline(312e12, 2.039e12, {"products": ([1.0, 800.0], [1e12, 250e12])})
    >>> ax.get_xlabel()
    'FLOP per byte'
    """
    positive("peak_flop_per_s", peak_flop_per_s)
    positive("bytes_per_s", bytes_per_s)
    check_named("(intensities, rates)", points)
    for name, pair in points.items():
        if not (isinstance(pair, Sequence) and len(pair) == 2):
            raise TypeError(f"{name}: {quoted(pair)} is not a pair: write (intensities, rates)")
        check_numbers(name, pair[0])
        check_numbers(name, pair[1], like=pair[0])
    ax = axes(ax)
    ridge = peak_flop_per_s / bytes_per_s
    reached = [intensity for intensities, _ in points.values() for intensity in intensities]
    left, right = min([ridge, *reached]) / 2, max([ridge, *reached]) * 2
    ax.plot([left, ridge, right], [left * bytes_per_s, *[peak_flop_per_s] * 2], color=COLOURS[0], label="roof")
    for number, (name, (intensities, rates)) in enumerate(points.items(), 1):
        color, mark = COLOURS[number % len(COLOURS)], MARKS[number % len(MARKS)]
        ax.plot(intensities, rates, mark, color=color, label=name, fillstyle="none", markeredgewidth=1.5)
    ax.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="FLOP/s")
    ax.yaxis.set_major_formatter(Prefixed())
    ax.yaxis.set_minor_formatter(Prefixed(minor_thresholds=(1, 0.4)))
    return tidy(ax)
