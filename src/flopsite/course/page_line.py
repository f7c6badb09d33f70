"""Under a page's title: its place in the course, what it needs, the time to read it, its letters, what to take away."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from flopsite.book import Book
from flopsite.course.reading_time import reading_minutes
from flopsite.math.letters import letters_in, meanings


def _orient(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Tell the page's template; pages that the build makes have no source and no place."""
    if doctree is None:
        return
    course, meaning = Book.of(app.env).course, meanings(app.env, docname)
    page = course.pages.get(docname)
    context["page_line"] = {
        "place": f"Lecture {page.number} of {len(course.lectures)}" if page and page.number else None,
        "needs": [course.pages[need] for need in page.needs] if page else [],
        "minutes": (page and page.minutes) or reading_minutes(doctree),
        "letters": {letter: meaning[letter] for letter in letters_in(context["body"])},
    }


def setup(app: Sphinx) -> None:
    """Register what tells the template."""
    app.connect("html-page-context", _orient)
