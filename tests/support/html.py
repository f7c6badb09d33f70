"""Read the pages of the built site as HTML, each once."""

import gc
from functools import cache
from pathlib import Path

from bs4 import BeautifulSoup


@cache
def read(path: Path) -> BeautifulSoup:
    """Parse a page once; all callers share the result."""
    page = BeautifulSoup(path.read_text("utf-8"), "html.parser")
    gc.freeze()  # or Python would search all pages read so far for garbage, again and again: half of the time
    return page


@cache
def anchors(path: Path) -> set[str]:
    """Collect the names in a page that links can lead to."""
    return {element["id"] for element in read(path).find_all(True) if "id" in element.attrs}
