"""Let reports of tests be quick."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from flopbook.measure import machine, report


@contextmanager
def quick() -> Iterator[None]:
    """Let reports and roofs time as few calls as they may: more make times exact, and no test depends on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_SECONDS", 0)
        patch.setattr(report, "_PROFILED", 1)
        patch.setattr(report, "_MOST", 1)
        patch.setattr(machine, "_PATIENCE", 0)
        yield


@pytest.fixture(scope="module", autouse=True)
def quick_reports() -> Iterator[None]:
    """Let the reports of a whole module be quick."""
    with quick():
        yield
