"""The pages of the built site as HTML, each parsed once."""

from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup


@cache
def read(path: Path) -> BeautifulSoup:
    """Parse a page; who changes what is returned changes it for all."""
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")
