"""Test that a report is saved with its trace and its pictures."""

import torch
from torch import nn

from flopbook.labs.profile import save
from flopbook.labs.results import Results
from flopbook.measure import Report
from tests.support.reports import quick_reports  # noqa: F401  (pytest finds it here)


def saved(device, folder):
    model, x = nn.Linear(16, 5, device=device), torch.ones(8, 16, device=device)
    report = Report.measure(lambda: model(x).square().mean().backward(), model=model)
    said = save(report, Results(folder))
    names = {line.partition(" is in ")[0] for line in said}
    assert names == {path.name for path in folder.iterdir()}
    return names


def test_every_file_is_named(tmp_path):
    assert saved("cpu", tmp_path) == {
        "profile.json", "step.pt.trace.json", "flops-by-operator.svg", "memory.svg", "time-by-operator.svg",
        "time-by-category.svg", "bottlenecks.svg",
    }  # fmt: skip


def test_on_the_meta_device_there_is_no_picture_of_time(tmp_path):
    assert saved("meta", tmp_path) == {"profile.json", "flops-by-operator.svg", "memory.svg"}
