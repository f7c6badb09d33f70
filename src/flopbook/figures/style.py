"""The one style of all plots: colours that stand out on white and on black, and marks that tell series apart."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogFormatter

#: One colour for each series, in this order: blue, orange, green, pink.
COLOURS = ("#3f86cf", "#d9762b", "#2f9e77", "#c1629f")
MARKS = ("o", "s", "^", "D")
_WIDE = 100  # a range of values that calls for a logarithmic axis
_LINE, _GAP = 54, 7 * " "  # letters in a line of a legend, and the room of a mark between two names


def axes(ax: Axes | None, height: float = 3.2) -> Axes:
    return ax or plt.subplots(figsize=(6.4, height))[1]


def tidy(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    names = ax.get_legend_handles_labels()[1]
    if len(names) > 1:  # above the axes, where nothing is drawn that could run through them
        columns = len(names) if len(_GAP.join(names)) <= _LINE else 2
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False)
    return ax


class Prefixed(LogFormatter):
    """SI prefixes on a logarithmic axis, between powers of ten too where these alone would be few."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return EngFormatter()(x) if super().__call__(x, pos) else ""


def spans(values: Sequence[float]) -> bool:
    return min(values) > 0 and max(values) / min(values) >= _WIDE
