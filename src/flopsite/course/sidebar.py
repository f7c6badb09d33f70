"""Fill the sidebar: every page under its part, and the shown page's sections."""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from flopsite.book import Book


def _fill(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give the sidebar's template its values; pages such as the search have no sections."""
    context["course"] = Book.of(app.env).course
    context["sections"] = list(_sections(app, docname)) if doctree else []
    context["toctree"] = lambda **options: ""  # of which the theme makes its own sidebar, for a second of each build


def _sections(app: Sphinx, docname: str) -> Iterator[tuple[str, str]]:
    """Yield the anchor and the title of each section below a page's title."""
    for page in app.env.tocs[docname].children:
        for sections in page.findall(nodes.bullet_list, descend=True):
            for section in sections.children:
                reference = next(section.findall(nodes.reference), None)
                if reference is not None:
                    yield reference["anchorname"], reference.astext()
            break


def setup(app: Sphinx) -> None:
    """Register the function that fills the template."""
    app.connect("html-page-context", _fill)
