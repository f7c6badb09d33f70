"""One training step in every respect at once: its report, its time by operator and its memory, with what follows."""

import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
from torch import nn

from flopbook import figures
from flopbook.labs.results import Results
from flopbook.measure.report import Report
from flopbook.measure.report.bottlenecks import Bottleneck, Share, bottlenecks, shares
from flopbook.measure.report.restore import as_it_was
from flopbook.measure.report.show import as_dict
from flopbook.measure.spending import MemoryProfile, TimeProfile, profile_time, watch_memory

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.dissection/1"


@dataclass(frozen=True)
class Dissection:
    """A step in every respect, made by :func:`dissect`.

    Attributes
    ----------
    report : Report
        Its FLOPs, time and memory.
    spent : TimeProfile
        Seconds by operator.
    held : MemoryProfile
        Bytes, operator by operator.
    """

    report: Report
    spent: TimeProfile
    held: MemoryProfile

    @property
    def shares(self) -> dict[str, Share]:
        """Time and FLOPs of each category of work."""
        return shares(self.report.counted, self.spent)

    @property
    def bottlenecks(self) -> list[Bottleneck]:
        """Where work is worth it, most time first."""
        return bottlenecks(self.shares)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "schema": SCHEMA,
            "report": as_dict(self.report),
            "seconds_profiled": self.spent.seconds,
            "operators": [row._asdict() for row in self.spent.operators],
            "shares": {name: share._asdict() for name, share in self.shares.items()},
            "bottlenecks": [
                {"category": found.category, "limit": found.limit, "advice": found.advice} for found in self.bottlenecks
            ],
            "memory": self.held._asdict(),
        }

    def save(self, results: Results) -> list[str]:
        """Keep the JSON, the trace and five pictures; says of each where it is.

        The trace opens in Perfetto, and by its name in TensorBoard's profiler
        plugin.
        """
        pictures: dict[str, Callable[[], object]] = {
            "time-by-operator.svg": lambda: figures.plot_operator_times(self.spent),
            "time-by-category.svg": lambda: figures.plot_categories(self.shares),
            "flops-by-operator.svg": lambda: figures.plot_operator_flops(self.report.counted),
            "bottlenecks.svg": lambda: figures.plot_bottlenecks(self.shares),
            "memory.svg": lambda: figures.plot_memory(self.held),
        }
        said = [results.keep("profile.json", json.dumps(self.as_dict(), indent=2))]
        if self.report.trace:
            said.append(results.keep("step.pt.trace.json", self.report.trace))
        return [*said, *(results.keep(name, _svg(draw)) for name, draw in pictures.items())]


def dissect(step: Callable[[], object], *, model: nn.Module) -> Dissection:
    """Measure a step in every respect, and leave model and optimizer as they were.

    Parameters
    ----------
    step : callable
        Takes nothing; it runs many times.
    model : Module
        The model that the step calls.

    Returns
    -------
    Dissection
        Plain data.

    Examples
    --------
    >>> import torch
    >>> model, x = torch.nn.Linear(16, 5), torch.randn(8, 16)
    >>> dissected = dissect(lambda: model(x).square().mean().backward(), model=model)
    >>> dissected.report.total, dissected.held.peak > 0
    (2560, True)
    """
    report = Report.measure(step, model=model)
    with as_it_was(model, ()):
        spent = profile_time(step, {row.operator for row in report.counted.operators})
        held = watch_memory(step)
    return Dissection(report, spent, held)


def _svg(draw: Callable[[], object]) -> str:
    draw()
    written = io.StringIO()
    plt.savefig(written, format="svg", bbox_inches="tight", metadata={"Date": None})
    plt.close()
    return written.getvalue()
