"""Test that plots of measurements return Axes, labelled, with the given numbers."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from flopbook.comparison import Comparison
from flopbook.figures import plot_comparison, plot_roofline, plot_sweep

BOTH = Comparison(
    ("predicted", "counted"),
    (),
    {"forward": {"predicted": 48, "counted": 48}, "backward": {"predicted": 96, "counted": 90}},
    {},
)


def test_a_comparison_has_a_bar_for_each_phase_and_witness(texts):
    ax = plot_comparison(BOTH)
    assert isinstance(ax, Axes)
    assert [bar.get_width() for bar in ax.patches] == [48, 96, 48, 90]
    assert ax.get_xlabel() == "FLOPs"
    assert texts(ax.get_yticklabels()) == ["forward", "backward"]
    assert texts(ax.get_legend().get_texts()) == ["predicted", "counted"]


def test_what_is_measured_is_open_marks_on_the_line_of_what_is_predicted():
    ax = plot_sweep([1, 2], {"FLOPs": [1, 4], "FLOPs, counted": [1, 4]}, x_label="width", y_label="FLOPs")
    predicted, counted = ax.lines
    assert (predicted.get_linestyle(), counted.get_linestyle()) == ("-", "None")
    assert counted.get_fillstyle() == "none" and counted.get_markersize() > predicted.get_markersize()


def test_a_sweep_has_a_line_for_each_series(texts):
    ax = plot_sweep([1, 2, 3], {"a": [1, 4, 9], "b": [2, 3, 4]}, x_label="width", y_label="FLOPs")
    assert isinstance(ax, Axes)
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 4, 9], [2, 3, 4]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "FLOPs")
    assert texts(ax.get_legend().get_texts()) == ["a", "b"]
    assert len({line.get_marker() for line in ax.lines}) == len({line.get_color() for line in ax.lines}) == 2


@pytest.mark.parametrize(
    ("x", "y", "scales"),
    [
        ([1, 10], [1, 10], ("linear", "linear")),
        ([1, 100], [1, 10], ("log", "linear")),
        ([1, 10], [1, 100], ("linear", "log")),
        ([0, 100], [-1, 100], ("linear", "linear")),
    ],
)
def test_axes_that_span_magnitudes_are_logarithmic(x, y, scales):
    ax = plot_sweep(x, {"a": y}, x_label="", y_label="")
    assert (ax.get_xscale(), ax.get_yscale()) == scales


def test_a_roof_rises_to_the_ridge_and_is_level_beyond_it(texts):
    ax = plot_roofline(1000, 10, {"products": ([2, 400], [15, 900])})
    roof, products = ax.lines
    assert (list(roof.get_xdata()), list(roof.get_ydata())) == ([1, 100, 800], [10, 1000, 1000])
    assert (list(products.get_xdata()), list(products.get_ydata())) == ([2, 400], [15, 900])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("FLOP per byte", "FLOP/s")
    assert texts(ax.get_legend().get_texts()) == ["roof", "products"]


def test_a_roof_within_a_power_of_ten_has_prefixes_all_the_same(texts):
    ax = plot_roofline(198e9, 70.8e9, {"products": ([21, 42], [180e9, 198e9])})
    ax.figure.canvas.draw()
    shown = [text for text in texts([*ax.get_yticklabels(), *ax.get_yticklabels(minor=True)]) if text]
    assert {"100 G", "200 G"} <= set(shown)
    assert not any("$" in text for text in shown)


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_comparison(BOTH, ax),
        lambda ax: plot_sweep([1, 2], {"a": [1, 2]}, x_label="", y_label="", ax=ax),
        lambda ax: plot_roofline(100, 10, {"a": ([1], [5])}, ax),
    ],
    ids=["comparison", "sweep", "roofline"],
)
def test_a_figure_is_drawn_in_the_axes_that_are_given(draw, axes):
    assert draw(axes) is axes
    assert len(plt.get_fignums()) == 1
