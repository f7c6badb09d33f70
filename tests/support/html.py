"""Read the pages of the built site as HTML, each once."""

from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup


@cache
def read(path: Path) -> BeautifulSoup:
    """Parse a page once; all callers share the result."""
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


@cache
def anchors(path: Path) -> set[str]:
    """Collect the names in a page that links can lead to."""
    return {element["id"] for element in read(path).find_all(id=True)}
