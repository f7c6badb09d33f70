"""Make the page for an address that leads nowhere."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from sphinx.application import Sphinx

from flopsite.book import Book


def _missing_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Describe the page, whose links start from the site's root at any depth."""
    parts = [
        (part.heading, [(app.builder.get_target_uri(page.docname), page.heading) for page in part.pages])
        for part in Book.of(app.env).course.parts
    ]
    yield "404", {"root": urlsplit(app.config.html_baseurl).path or "/", "parts_of_course": parts}, "404.html"


def setup(app: Sphinx) -> None:
    """Add the page to those of the site."""
    app.connect("html-collect-pages", _missing_page)
