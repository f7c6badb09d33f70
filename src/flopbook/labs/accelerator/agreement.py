"""Run the agreement tests on the device, and profile a network whose FLOPs are published."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import nn

from flopbook.labs.accelerator.clock import Clock
from flopbook.measure.counting.count import FlopCount
from flopbook.measure.profiler import profile_flops

ROOT = Path(__file__).parents[4]
_WIDTHS = 429, 1024, 1024, 1024, 1880  # of a network whose published step has 6,628,048,896 FLOPs
_BATCH = 256
_MOST = 60  # seconds for the tests


def profile_the_source(device: str, clock: Clock) -> Mapping[str, Any]:
    """Count one training step by torch.profiler on the device, and by `FlopCount`."""
    layers = [part for pair in pairwise(_WIDTHS) for part in (nn.Linear(*pair), nn.ReLU())][:-1]
    model = nn.Sequential(*layers).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001)
    x, y = torch.randn(_BATCH, _WIDTHS[0], device=device), torch.randint(_WIDTHS[-1], (_BATCH,), device=device)

    def step() -> None:
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()

    with FlopCount() as counted:
        step()
    return {
        name: {"total": found.total, "operators": {op: row._asdict() for op, row in found.by_operator.items()}}
        for name, found in (("profiled", profile_flops(step)), ("counted", counted))
    }


def test(device: str, clock: Clock) -> Mapping[str, Any]:
    """Run the agreement tests that take a device, until the time is over.

    Returns
    -------
    dict
        How many `passed`; the names of the `failed`; how many were `skipped`, by reason; and files that could not be
        read, such as files that import a library which is not installed.
    """
    tests = ROOT / "tests" / "agreement"
    if not tests.is_dir():
        raise FileNotFoundError(f"{tests} is not there: run from a checkout, with PYTHONPATH=src")
    chosen = "cpu" if device == "cpu" else "accelerator"
    with TemporaryDirectory() as folder:
        noted = Path(folder) / "noted"
        options = ["-q", "-k", chosen, "-p", "flopbook.labs.accelerator.noted", "--continue-on-collection-errors"]
        command = [sys.executable, "-m", "pytest", *options, str(tests)]
        environment = {**os.environ, "FLOPBOOK_NOTED": str(noted)}
        limit = min(_MOST, clock.left)
        try:
            ran = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=limit, check=False
            )
            ended = "" if ran.returncode in (0, 1) else (ran.stdout + ran.stderr)[-600:]
        except subprocess.TimeoutExpired:
            ended = f"after {limit:.0f} s: the tests that had ended by then are here"
        lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
    return _summary([json.loads(line) for line in lines]) | ({"stopped": ended} if ended else {})


def _summary(noted: list[dict[str, str]]) -> dict[str, Any]:
    """Count outcomes; name failed tests and unread files; give reasons of skipped tests.

    >>> _summary([{"test": "a", "outcome": "passed", "why": ""}, {"test": "b", "outcome": "skipped", "why": "no GPU"}])
    {'passed': 1, 'failed': [], 'skipped': {'no GPU': 1}, 'unread': {}}
    """
    return {
        "passed": sum(one["outcome"] == "passed" for one in noted),
        "failed": [{"test": one["test"], "why": one["why"]} for one in noted if one["outcome"] == "failed"],
        "skipped": dict(Counter(one["why"] for one in noted if one["outcome"] == "skipped")),
        "unread": {one["test"]: one["why"] for one in noted if one["outcome"] == "unread"},
    }
