"""Note each test when it ends, as pytest's plugin; a stopped run leaves notes."""

import json
import os
from pathlib import Path
from typing import Any


def pytest_runtest_logreport(report: Any) -> None:
    """Note a test's outcome: at its call, or at a setup that did not pass."""
    if report.when == "call" or (report.when == "setup" and report.outcome != "passed"):
        _note(report, report.outcome)


def pytest_collectreport(report: Any) -> None:
    """Note a file whose tests cannot be read, or which is skipped as a whole."""
    if report.outcome != "passed":
        _note(report, "unread")


def _note(report: Any, outcome: str) -> None:
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr or "")[-300:]
    line = json.dumps({"test": report.nodeid, "outcome": outcome, "why": why})
    with Path(os.environ["FLOPBOOK_NOTED"]).open("a", encoding="utf-8") as noted:
        noted.write(line + "\n")
