"""Save a report with its trace and its pictures."""

import io
from collections.abc import Callable

import matplotlib.pyplot as plt

from flopbook import figures
from flopbook.labs.results import Results
from flopbook.measure.report import Report


def save(report: Report, results: Results) -> list[str]:
    """Write a report's JSON, its trace and five pictures, and say where each file is.

    The trace opens in Perfetto, and by its name in TensorBoard's profiler
    plugin. On the meta device there is neither a trace nor a picture of time.

    Parameters
    ----------
    report : Report
        The report of a step.
    results : Results
        The folder to write to.

    Returns
    -------
    list of str
        A line for each file.
    """
    lines = [results.keep("profile.json", report.to_json())]
    pictures: dict[str, Callable[[], object]] = {
        "flops-by-operator.svg": lambda: figures.plot_operator_flops(report.counted),
        "memory.svg": lambda: figures.plot_memory(report.held),
    }
    if report.spent and report.trace:
        spent = report.spent
        lines.append(results.keep("step.pt.trace.json", report.trace))
        pictures |= {
            "time-by-operator.svg": lambda: figures.plot_operator_times(spent),
            "time-by-category.svg": lambda: figures.plot_categories(report.shares),
            "bottlenecks.svg": lambda: figures.plot_bottlenecks(report.shares),
        }
    return [*lines, *(results.keep(name, _svg(draw)) for name, draw in pictures.items())]


def _svg(draw: Callable[[], object]) -> str:
    draw()
    written = io.StringIO()
    plt.savefig(written, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close()
    return written.getvalue()
