"""Figures: each returns Axes, labelled, with the numbers it was given."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from flopbook.comparison import Comparison
from flopbook.figures import (
    plot_bit_layouts,
    plot_comparison,
    plot_magnitudes,
    plot_roofline,
    plot_shapes,
    plot_sweep,
)
from flopbook.predict import matmul

BOTH = Comparison(
    ("predicted", "counted"),
    (),
    {"forward": {"predicted": 48, "counted": 48}, "backward": {"predicted": 96, "counted": 90}},
    {},
)


@pytest.fixture(autouse=True)
def _close_figures():
    plt.close("all")  # also those that tests elsewhere left open
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


def test_a_legend_stands_above_the_axes():
    ax = plot_sweep([1, 2], {"a": [1, 1], "b": [5, 5], "c": [9, 9]}, x_label="", y_label="")
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().y0 >= ax.get_window_extent().y1


@pytest.mark.parametrize(
    "names",
    [("GPT-2 small", "GPT-3", "Llama 3 8B", "Llama 3 405B"), ("roof", "products, batch 1 to 512", "an addition")],
)
def test_a_legend_is_no_wider_than_the_axes(names):
    ax = plot_sweep([1, 2], {name: [1, 2] for name in names}, x_label="", y_label="")
    ax.figure.canvas.draw()
    assert ax.get_legend().get_window_extent().x1 <= ax.get_window_extent().x1


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


def test_a_roof_rises_to_the_ridge_and_is_level_beyond_it():
    ax = plot_roofline(1000, 10, {"products": ([2, 400], [15, 900])})
    roof, products = ax.lines
    assert (list(roof.get_xdata()), list(roof.get_ydata())) == ([1, 100, 800], [10, 1000, 1000])
    assert (list(products.get_xdata()), list(products.get_ydata())) == ([2, 400], [15, 900])
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("FLOP per byte", "FLOP/s")
    assert texts(ax.get_legend().get_texts()) == ["roof", "products"]


def test_a_roof_within_a_power_of_ten_has_prefixes_all_the_same():
    ax = plot_roofline(198e9, 70.8e9, {"products": ([21, 42], [180e9, 198e9])})
    ax.figure.canvas.draw()
    shown = [text for text in texts([*ax.get_yticklabels(), *ax.get_yticklabels(minor=True)]) if text]
    assert {"100 G", "200 G"} <= set(shown)
    assert not any("$" in text for text in shown)


def test_a_bit_layout_has_a_square_for_each_bit():
    ax = plot_bit_layouts({"float16": (5, 10), "bfloat16": (8, 7)})
    assert len(ax.patches) == 16 + 16
    assert texts(ax.get_yticklabels()) == ["float16", "bfloat16"]
    assert texts(ax.get_legend().get_texts()) == ["sign", "exponent", "fraction"]
    assert ax.get_xlabel() == "bits"


def test_shapes_are_drawn_to_scale_and_turned_so_that_equal_letters_meet():
    product = matmul("x[B,D] @ w[K,D] -> y[B,K]")
    ax = plot_shapes([product], {"B": 4, "D": 3, "K": 2})
    assert [(patch.get_height(), patch.get_width()) for patch in ax.patches] == [(4, 3), (3, 2), (4, 2)]
    assert {"x", "wᵀ", "y"} <= set(texts(ax.texts))


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_comparison(BOTH, ax),
        lambda ax: plot_sweep([1, 2], {"a": [1, 2]}, x_label="", y_label="", ax=ax),
        lambda ax: plot_magnitudes({"a": 1}, x_label="", ax=ax),
        lambda ax: plot_roofline(100, 10, {"a": ([1], [5])}, ax),
        lambda ax: plot_bit_layouts({"a": (1, 2)}, ax),
        lambda ax: plot_shapes([matmul("x[B,D] @ w[D,K] -> y[B,K]")], {"B": 4, "D": 3, "K": 2}, ax),
    ],
    ids=["comparison", "sweep", "magnitudes", "roofline", "bit layouts", "shapes"],
)
def test_a_figure_is_drawn_where_one_asks(draw, axes):
    assert draw(axes) is axes
    assert len(plt.get_fignums()) == 1
