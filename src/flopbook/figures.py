"""Pictures of results: each takes what another module gave and returns matplotlib Axes.

The colours stand out on white and on black alike, and marks tell the series
apart without them.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter

from flopbook.comparison import Comparison

#: One colour for each series, in this order: blue, orange, green, pink.
COLOURS = ("#3f86cf", "#d9762b", "#2f9e77", "#c1629f")
_MARKS = ("o", "s", "^", "D")
_WIDE = 100  # a range of values that calls for a logarithmic axis


def _axes(ax: Axes | None, height: float = 3.2) -> Axes:
    return ax or plt.subplots(figsize=(6.4, height))[1]


def _tidy(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    return ax


def _spans(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= _WIDE


def plot_comparison(comparison: Comparison, ax: Axes | None = None) -> Axes:
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
    ax = _axes(ax, 0.8 + 0.8 * len(phases))
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
    ax.legend()
    return _tidy(ax)


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
    ax = _axes(ax)
    for number, (name, values) in enumerate(series.items()):
        style = {"color": COLOURS[number % len(COLOURS)], "marker": _MARKS[number % len(_MARKS)]}
        ax.plot(x, values, label=name, markersize=5, **style)
    if _spans(x):
        ax.set_xscale("log")
    if _spans([value for values in series.values() for value in values]):
        ax.set_yscale("log")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    if len(series) > 1:
        ax.legend()
    return _tidy(ax)


def plot_magnitudes(amounts: Mapping[str, float], *, x_label: str, ax: Axes | None = None) -> Axes:
    """Amounts that lie magnitudes apart, as points on a logarithmic scale.

    Examples
    --------
    >>> ax = plot_magnitudes({"a product": 1e6, "a training run": 2e25}, x_label="FLOPs")
    >>> ax.get_xscale()
    'log'
    """
    ax = _axes(ax, 0.7 + 0.35 * len(amounts))
    places = range(len(amounts))
    ax.hlines(places, min(amounts.values()) / 10, list(amounts.values()), color=COLOURS[0], linewidth=2, alpha=0.5)
    ax.plot(list(amounts.values()), list(places), "o", color=COLOURS[0])
    ax.set_yticks(list(places), list(amounts))
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(x_label)
    return _tidy(ax)
