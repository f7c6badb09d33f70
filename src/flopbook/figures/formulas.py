"""Plot what formulas say: amounts that lie magnitudes apart."""

from collections.abc import Mapping

from matplotlib.axes import Axes

from flopbook.checks import positive
from flopbook.figures.style import COLOURS, axes, check_named, tidy


def plot_magnitudes(amounts: Mapping[str, float], *, x_label: str, ax: Axes | None = None) -> Axes:
    """Plot amounts that lie magnitudes apart, as points on a logarithmic scale.

    Raises
    ------
    TypeError, ValueError
        If the amounts are not positive numbers by name.

    Examples
    --------
    >>> ax = plot_magnitudes({"a product": 1e6, "a training run": 2e25}, x_label="FLOPs")
    >>> ax.get_xscale()
    'log'
    """
    check_named("1e6", amounts)
    for name, amount in amounts.items():
        positive(name, amount)
    ax = axes(ax, 0.7 + 0.35 * len(amounts))
    places = range(len(amounts))
    ax.hlines(places, min(amounts.values()) / 10, list(amounts.values()), color=COLOURS[0], linewidth=2, alpha=0.5)
    ax.plot(list(amounts.values()), list(places), "o", color=COLOURS[0])
    ax.set_yticks(list(places), list(amounts))
    ax.invert_yaxis()
    ax.set_xscale("log")
    ax.set_xlabel(x_label)
    return tidy(ax)
