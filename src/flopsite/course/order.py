"""Tell Sphinx the order of the pages, their numbers and neighbours from `course.yml`."""

from collections.abc import Iterable
from html import escape
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError

from flopsite.book import Book
from flopsite.course.outline import FILE, CourseError, Page, read_course
from flopsite.course.reading_time import reading_minutes
from flopsite.warnings import Kind, warn

_TOLERANCE = 0.25  # of the minutes that a lecture is said to take


def _read_course(app: Sphinx) -> None:
    """Read the outline before any page; a fault in it ends the build."""
    book = Book.of(app.env)
    try:
        book.course = read_course(app.srcdir)
    except CourseError as error:
        raise SphinxError(f"{FILE}: {error}.") from error


def _reread_what_moved(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Iterable[str]:
    """Return the pages to read again when `course.yml` changes.

    The first page holds the order, and each page its own title and minutes.
    """
    book = Book.of(env)
    before, book.data["course"] = book.data["course"], book.course
    book.has_moved = before not in (None, book.course)
    if not book.has_moved:
        return []
    return [env.config.root_doc, *(name for name, page in book.course.pages.items() if before.pages.get(name) != page)]


def _rewrite_all(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Return all pages when the course has changed, since every sidebar shows it."""
    return sorted(env.found_docs) if Book.of(env).has_moved else []


def _take_part(app: Sphinx, page: nodes.document) -> None:
    """Give the first page the order of all pages, and hold any other to its line."""
    course, docname = Book.of(app.env).course, app.env.docname
    section = next(page.findall(nodes.section), None)
    if section is None:
        warn(Kind.COURSE, "this page has no title: begin its text with `# `", page)
    elif docname == app.config.root_doc:
        section += _toctree(docname, [page for page in course.pages.values() if page.number], numbered=2)
        section += _toctree(docname, [page for page in course.pages.values() if not page.number], numbered=0)
    elif docname in course.pages:
        _check_page(page, section, course.pages[docname])


def _toctree(parent: str, pages: list[Page], numbered: int) -> addnodes.toctree:
    docnames = [page.docname for page in pages]
    return addnodes.toctree(
        parent=parent,
        entries=[(None, docname) for docname in docnames],
        includefiles=docnames,
        numbered=numbered,
        hidden=True,
        glob=False,
        maxdepth=1,
        caption=None,
        includehidden=False,
        titlesonly=True,
    )


def _check_page(page: nodes.document, section: nodes.section, stated: Page) -> None:
    if (title := section[0].astext()) != stated.title:
        message = f"the title is {title!r} here and {stated.title!r} in {FILE}: write the same in both"
        warn(Kind.COURSE, message, section[0])
    minutes = reading_minutes(page)
    if stated.minutes and abs(minutes / stated.minutes - 1) > _TOLERANCE:
        message = f"it takes {minutes} minutes to read, and {FILE} says {stated.minutes}: write minutes: {minutes}"
        warn(Kind.COURSE, message, section[0])


def _name_neighbours(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Let the links at the end of a page follow the course."""
    for direction, page in zip(("prev", "next"), Book.of(app.env).course.neighbours(docname), strict=True):
        if page:
            context[direction] = neighbour(app, docname, page)


def neighbour(app: Sphinx, docname: str, page: Page) -> dict[str, str]:
    """Describe a link to another page: its address, and its title with the question that it answers."""
    question = f' <span class="question-ahead">{escape(page.question)}</span>' if page.question else ""
    return {
        "link": app.builder.get_relative_uri(docname, page.docname),
        "title": f"{escape(page.heading)}{question}",
    }


def setup(app: Sphinx) -> None:
    """Register the functions; `_take_part` runs before Sphinx collects titles and contents."""
    app.connect("builder-inited", _read_course)
    app.connect("env-get-outdated", _reread_what_moved)
    app.connect("doctree-read", _take_part, priority=400)
    app.connect("env-updated", _rewrite_all)
    app.connect("html-page-context", _name_neighbours)
