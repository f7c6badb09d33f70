"""Test the legends that all plots share."""

import pytest

from flopbook.figures import plot_sweep


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
