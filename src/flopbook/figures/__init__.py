"""Plot results with Matplotlib; each function takes a result and returns Axes."""

from typing import TYPE_CHECKING

from flopbook.lazy import export_lazily

if TYPE_CHECKING:
    from flopbook.figures.formulas import plot_magnitudes
    from flopbook.figures.measurements import plot_comparison, plot_roofline, plot_sweep
    from flopbook.figures.steps import (
        plot_bottlenecks,
        plot_categories,
        plot_memory,
        plot_operator_flops,
        plot_operator_times,
    )
    from flopbook.figures.style import COLOURS

__getattr__, __dir__, __all__ = export_lazily(__name__)
