"""Test that plots of formulas return Axes, labelled, with the given numbers."""

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from flopbook.figures import plot_magnitudes


def test_magnitudes_are_points_on_a_logarithmic_scale(texts):
    ax = plot_magnitudes({"a product": 1e6, "a training run": 2e25}, x_label="FLOPs")
    assert isinstance(ax, Axes)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "FLOPs"
    assert texts(ax.get_yticklabels()) == ["a product", "a training run"]
    assert list(ax.lines[0].get_xdata()) == [1e6, 2e25]


def test_a_figure_is_drawn_in_the_axes_that_are_given(axes):
    assert plot_magnitudes({"a": 1}, x_label="", ax=axes) is axes
    assert len(plt.get_fignums()) == 1
