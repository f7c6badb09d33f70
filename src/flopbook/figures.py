"""Pictures of results: each takes what another module gave and returns matplotlib Axes.

The colours stand out on white and on black alike, and marks tell the series
apart without them.
"""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle
from matplotlib.ticker import EngFormatter, LogFormatter, MultipleLocator

from flopbook.comparison import Comparison
from flopbook.products import Product

#: One colour for each series, in this order: blue, orange, green, pink.
COLOURS = ("#3f86cf", "#d9762b", "#2f9e77", "#c1629f")
_MARKS = ("o", "s", "^", "D")
_WIDE = 100  # a range of values that calls for a logarithmic axis
_LINE, _GAP = 54, 7 * " "  # letters in a line of a legend, and the room of a mark between two names


def _axes(ax: Axes | None, height: float = 3.2) -> Axes:
    return ax or plt.subplots(figsize=(6.4, height))[1]


def _tidy(ax: Axes) -> Axes:
    ax.spines[["top", "right"]].set_visible(False)
    ax.grid(alpha=0.25)
    ax.set_axisbelow(True)
    names = ax.get_legend_handles_labels()[1]
    if len(names) > 1:  # above the axes, where nothing is drawn that could run through them
        columns = len(names) if len(_GAP.join(names)) <= _LINE else 2
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False)
    return ax


class _Prefixed(LogFormatter):
    """SI prefixes on a logarithmic axis, between powers of ten too where these alone would be few."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return EngFormatter()(x) if super().__call__(x, pos) else ""


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
        color, mark = COLOURS[number % len(COLOURS)], _MARKS[number % len(_MARKS)]
        ax.plot(x, values, label=name, markersize=5, color=color, marker=mark)
    if _spans(x):
        ax.set_xscale("log")
    if _spans([value for values in series.values() for value in values]):
        ax.set_yscale("log")
    ax.set_xlabel(x_label)
    ax.set_ylabel(y_label)
    return _tidy(ax)


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
    ax = _axes(ax)
    ridge = peak_flop_per_s / bytes_per_s
    reached = [intensity for intensities, _ in points.values() for intensity in intensities]
    left, right = min([ridge, *reached]) / 2, max([ridge, *reached]) * 2
    ax.plot([left, ridge, right], [left * bytes_per_s, *[peak_flop_per_s] * 2], color=COLOURS[0], label="roof")
    for number, (name, (intensities, rates)) in enumerate(points.items(), 1):
        ax.plot(intensities, rates, _MARKS[number % len(_MARKS)], color=COLOURS[number % len(COLOURS)], label=name)
    ax.set(xscale="log", yscale="log", xlabel="FLOP per byte", ylabel="FLOP/s")
    ax.yaxis.set_major_formatter(_Prefixed())
    ax.yaxis.set_minor_formatter(_Prefixed(minor_thresholds=(1, 0.4)))
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


def plot_bit_layouts(layouts: Mapping[str, tuple[int, int]], ax: Axes | None = None) -> Axes:
    """Bits of floating-point formats, a square for each: sign, exponent, fraction.

    Parameters
    ----------
    layouts : mapping of str to tuple of int
        Exponent bits and fraction bits, by the name of the format.
    ax : Axes, optional
        Where to draw; else a new figure.

    Examples
    --------
    >>> ax = plot_bit_layouts({"float32": (8, 23), "bfloat16": (8, 7)})
    >>> len(ax.patches)
    48
    """
    ax = _axes(ax, 0.9 + 0.35 * len(layouts))
    for place, (exponent, fraction) in enumerate(layouts.values()):
        first = 0
        parts = {"sign": 1, "exponent": exponent, "fraction": fraction}
        for number, (part, bits) in enumerate(parts.items()):
            label = part if place == 0 else None
            ax.barh([place] * bits, 0.85, 0.75, range(first, first + bits), color=COLOURS[1 - number], label=label)
            first += bits
    ax.set_yticks(range(len(layouts)), list(layouts))
    ax.invert_yaxis()
    ax.xaxis.set_major_locator(MultipleLocator(8))
    ax.set_xlabel("bits")
    return _tidy(ax)


def plot_shapes(products: Sequence[Product], sizes: Mapping[str, int], ax: Axes | None = None) -> Axes:
    """Shapes of matrix products, to scale: a row for each, its operands turned so that equal letters meet.

    Parameters
    ----------
    products : sequence of Product
        Each of two matrices.
    sizes : mapping of str to int
        The size of each axis.
    ax : Axes, optional
        Where to draw; else a new figure.

    Examples
    --------
    >>> from flopbook.products import matmul
    >>> y = matmul("x[B,D] @ w[D,K] -> y[B,K]")
    >>> ax = plot_shapes(y.gradients, dict(B=4, D=3, K=2))
    >>> [text.get_text() for text in ax.texts if "x" in text.get_text()]
    ['xᵀ', 'x.grad']
    """
    ax = _axes(ax, 1.7 * len(products))
    largest = max(sizes.values())
    gap, space = 0.6 * largest, 0.05 * largest
    for number, product in enumerate(products):
        edge, middle = 0.0, -1.6 * largest * number
        for (name, rows, columns), sign in zip(_turned(product), ("@", "=", ""), strict=True):
            height, width = sizes[rows], sizes[columns]
            centre, colour = edge + width / 2, COLOURS[0 if sign else 1]
            ax.add_patch(Rectangle((edge, middle - height / 2), width, height, fc=f"{colour}40", ec=colour))
            ax.text(centre, middle - height / 2 - space, name, ha="center", va="top")
            ax.text(edge - space, middle, rows, ha="right", va="center", style="italic")
            ax.text(centre, middle + height / 2 + space, columns, ha="center", va="bottom", style="italic")
            edge += width + gap
            ax.text(edge - 0.6 * gap, middle, sign, ha="center", va="center")
    ax.set_aspect("equal")
    ax.autoscale_view()
    ax.axis("off")
    return ax


def _turned(product: Product) -> list[tuple[str, str, str]]:
    """Name, rows and columns of both operands and the result, as a textbook multiplies them."""
    rows, columns = product.output.axes
    (shared,) = set(product.axes) - {rows, columns}
    first, second = sorted((product.left, product.right), key=lambda tensor: rows not in tensor.axes)
    shapes = ((first, (rows, shared)), (second, (shared, columns)), (product.output, (rows, columns)))
    return [(tensor.name + ("" if tensor.axes == shape else "ᵀ"), *shape) for tensor, shape in shapes]
