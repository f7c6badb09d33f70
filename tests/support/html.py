"""Read the pages of the built site as HTML, each once."""

from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup


@cache
def read(path: Path) -> BeautifulSoup:
    """Parse a page once; all callers share the result."""
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")
