"""Test that plots of a step show the measured numbers."""

import pytest
import torch

from flopbook.figures import plot_bottlenecks, plot_categories, plot_memory, plot_operator_flops, plot_operator_times
from flopbook.measure import FlopCount, profile_time, watch_memory
from flopbook.measure.report.bottlenecks import Share

LAYER, X = torch.nn.Linear(4, 3), torch.ones(5, 4)
SHARES = {"contractions": Share(0.75, 0.9, 11), "optimizer": Share(0.25, 0.1, 80)}


def step():
    LAYER(X).square().sum().backward()


def widths(ax):
    return [bar.get_width() for bar in ax.patches]


def test_bars_of_operators_add_up_to_all_flops():
    with FlopCount() as counted:
        step()
    ax = plot_operator_flops(counted.breakdown)
    assert ax.get_xlabel() == "FLOPs"
    assert "aten::addmm" in [label.get_text() for label in ax.get_yticklabels()]
    assert sum(widths(ax)) == sum(sum(row.cost) for row in counted.breakdown.operators) > 0


def test_bars_of_operators_add_up_to_all_seconds():
    spent = profile_time(step, {"aten::addmm", "aten::mm"}, steps=2)
    ax = plot_operator_times(spent)
    assert ax.get_xlabel() == "seconds"
    assert sum(widths(ax)) == pytest.approx(sum(row.seconds for row in spent.operators))


def test_categories_are_in_percent():
    ax = plot_categories(SHARES)
    assert widths(ax) == [0.75, 0.25]
    assert [text.get_text() for text in ax.texts] == ["75.0%", "25.0%"]


def test_bottlenecks_have_time_beside_flops():
    ax = plot_bottlenecks(SHARES)
    assert widths(ax) == [0.75, 0.25, 0.9, 0.1]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["time", "FLOPs"]


def test_memory_is_a_line_with_a_step_for_each_operator():
    held = watch_memory(step)
    assert tuple(plot_memory(held).lines[0].get_ydata()) == held.bytes
