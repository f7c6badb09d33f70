"""Give all plots one style: colours for white and black pages, and different marks."""

from collections.abc import Collection, Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogFormatter

from flopbook.checks import is_number, quoted

#: One colour for each series, in this order: blue, orange, green, pink.
COLOURS = ("#3f86cf", "#d9762b", "#2f9e77", "#c1629f")
MARKS = ("o", "s", "^", "D")
#: Words of the witnesses that measure: their series are open marks, and what is predicted is a line.
MEASURED = {"measured", "counted", "profiled", "executed", "timed"}
_WIDE = 100  # a range of values that needs a logarithmic axis
_LINE, _GAP = 54, 7 * " "  # letters in a line of a legend, and the room of a mark between two names


def axes(ax: Axes | None, height: float = 3.2) -> Axes:
    """Return the Axes that are given, or those of a new figure."""
    if not (ax is None or isinstance(ax, Axes)):
        raise TypeError(f"ax={quoted(ax)} are not Axes of matplotlib: write ax=plt.subplots()[1], or leave it out")
    return ax or plt.subplots(figsize=(6.4, height))[1]


def check_numbers(name: str, values: object, like: Collection | None = None) -> None:
    """Refuse what is not a list of finite numbers, or too long or short."""
    if isinstance(values, (str, Mapping)) or not isinstance(values, Collection):
        raise TypeError(f"{name}: {quoted(values)} is not a list of numbers: write one, such as [2, 20, 200]")
    for value in values:
        if not is_number(value):
            raise TypeError(f"{name}: {quoted(value)} is not a finite number: give one, or leave the point out")
    if like is not None and len(values) != len(like):
        raise ValueError(f"{name} has {len(values)} values, but {len(like)} are needed: give one for each")


def check_named(what: str, given: object) -> None:
    """Refuse what does not hold something for each of several names."""
    if not isinstance(given, Mapping):
        raise TypeError(f"{quoted(given)} has no names: write {{'a name': {what}, ...}}")
    if not given:
        raise ValueError(f"nothing to draw: write {{'a name': {what}, ...}}")


def tidy(ax: Axes) -> Axes:
    """Remove needless lines, and add a legend where there are several series."""
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    names = ax.get_legend_handles_labels()[1]
    if len(names) > 1:  # above the axes, where nothing is drawn that could run through them
        columns = len(names) if len(_GAP.join(names)) <= _LINE else 2
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False)
    return ax


class Prefixed(LogFormatter):
    """Writes SI prefixes on logarithmic axes, between powers of ten if these are few."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return EngFormatter()(x) if super().__call__(x, pos) else ""


def spans(values: Sequence[float]) -> bool:
    """Tell whether values are positive and span two or more orders of magnitude."""
    return min(values) > 0 and max(values) / min(values) >= _WIDE
