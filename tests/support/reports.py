"""Let reports of tests be quick."""

from collections.abc import Iterator

import pytest

from flopbook.measure import report


@pytest.fixture(scope="module", autouse=True)
def quick_reports() -> Iterator[None]:
    """Let a report time as few calls as it may: more make its times exact, and no test depends on them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "_SECONDS", 0)
        yield
