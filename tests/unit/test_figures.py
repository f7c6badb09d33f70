"""Figures: each returns Axes, labelled, with the numbers it was given."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from flopbook.comparison import Comparison
from flopbook.figures import plot_comparison, plot_magnitudes, plot_sweep

BOTH = Comparison(
    ("predicted", "counted"),
    (),
    {"forward": {"predicted": 48, "counted": 48}, "backward": {"predicted": 96, "counted": 90}},
    {},
)


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


@pytest.fixture
def axes():
    return plt.subplots()[1]


def texts(labels):
    return [label.get_text() for label in labels]


def test_a_comparison_has_a_bar_for_each_phase_and_witness():
    ax = plot_comparison(BOTH)
    assert isinstance(ax, Axes)
    assert [bar.get_width() for bar in ax.patches] == [48, 96, 48, 90]
    assert ax.get_xlabel() == "FLOPs"
    assert texts(ax.get_yticklabels()) == ["forward", "backward"]
    assert texts(ax.get_legend().get_texts()) == ["predicted", "counted"]


def test_a_sweep_has_a_line_for_each_series():
    ax = plot_sweep([1, 2, 3], {"a": [1, 4, 9], "b": [2, 3, 4]}, x_label="width", y_label="FLOPs")
    assert isinstance(ax, Axes)
    assert [list(line.get_ydata()) for line in ax.lines] == [[1, 4, 9], [2, 3, 4]]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("width", "FLOPs")
    assert texts(ax.get_legend().get_texts()) == ["a", "b"]
    assert len({line.get_marker() for line in ax.lines}) == len({line.get_color() for line in ax.lines}) == 2


def test_one_series_needs_no_legend():
    assert plot_sweep([1, 2], {"a": [1, 2]}, x_label="", y_label="").get_legend() is None


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


def test_magnitudes_are_points_on_a_logarithmic_scale():
    ax = plot_magnitudes({"a product": 1e6, "a training run": 2e25}, x_label="FLOPs")
    assert isinstance(ax, Axes)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "FLOPs"
    assert texts(ax.get_yticklabels()) == ["a product", "a training run"]
    assert list(ax.lines[0].get_xdata()) == [1e6, 2e25]


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_comparison(BOTH, ax),
        lambda ax: plot_sweep([1, 2], {"a": [1, 2]}, x_label="", y_label="", ax=ax),
        lambda ax: plot_magnitudes({"a": 1}, x_label="", ax=ax),
    ],
    ids=["comparison", "sweep", "magnitudes"],
)
def test_a_figure_is_drawn_where_one_asks(draw, axes):
    assert draw(axes) is axes
    assert len(plt.get_fignums()) == 1
