"""Test that plots of formulas return Axes, labelled, with the given numbers."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.axes import Axes

from flopbook.figures import plot_magnitudes, plot_shapes
from flopbook.predict import matmul


def test_magnitudes_are_points_on_a_logarithmic_scale(texts):
    ax = plot_magnitudes({"a product": 1e6, "a training run": 2e25}, x_label="FLOPs")
    assert isinstance(ax, Axes)
    assert ax.get_xscale() == "log"
    assert ax.get_xlabel() == "FLOPs"
    assert texts(ax.get_yticklabels()) == ["a product", "a training run"]
    assert list(ax.lines[0].get_xdata()) == [1e6, 2e25]


def test_shapes_are_drawn_to_scale_and_turned_so_that_equal_letters_meet(texts):
    product = matmul("x[B,D] @ w[K,D] -> y[B,K]")
    ax = plot_shapes([product], {"B": 4, "D": 3, "K": 2})
    assert [(patch.get_height(), patch.get_width()) for patch in ax.patches] == [(4, 3), (3, 2), (4, 2)]
    assert {"x", "wᵀ", "y"} <= set(texts(ax.texts))


@pytest.mark.parametrize(
    "draw",
    [
        lambda ax: plot_magnitudes({"a": 1}, x_label="", ax=ax),
        lambda ax: plot_shapes([matmul("x[B,D] @ w[D,K] -> y[B,K]")], {"B": 4, "D": 3, "K": 2}, ax),
    ],
    ids=["magnitudes", "shapes"],
)
def test_a_figure_is_drawn_in_the_axes_that_are_given(draw, axes):
    assert draw(axes) is axes
    assert len(plt.get_fignums()) == 1
