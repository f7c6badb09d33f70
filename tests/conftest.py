"""The built site, for the tests of its pages."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def site() -> Path:
    """The folder of the built site; `make test` builds it first."""
    folder = ROOT / "_build" / "html"
    if not (ROOT / "_build" / "complete").exists():
        pytest.fail("the site is not built: run `make html` first, or `make test` for both", pytrace=False)
    return folder


@pytest.fixture(scope="session")
def pages(site: Path) -> list[str]:
    """The pages of the site, by their address within it."""
    return sorted(str(path.relative_to(site)) for path in site.rglob("*.html"))
