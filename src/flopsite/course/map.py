"""Draw the course as a map of its pages and their needs, and list the reference."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.course.outline import Course, Page, Part

MAP = "course-map"
REFERENCE = "reference-list"
COLUMNS = 4  # pages beside each other; course.css has the same number
_PROMISE = "You will derive"


def _note_promise(app: Sphinx, page: nodes.document) -> None:
    """Keep what a page says that the reader will derive."""
    for item in page.findall(nodes.definition_list_item):
        term, *_, definition = item.children
        if term.astext() == _PROMISE:
            Book.of(app.env).data["promises"][app.env.docname] = definition[0]
            return


class FillMap(SphinxPostTransform):
    """Replaces the `{course-map}` and `{reference-list}` directives."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        course = Book.of(self.env).course
        for place in list(self.document.findall(FilledLater)):
            if place["filling"] == MAP:
                place.replace_self(self._map(course))
            elif place["filling"] == REFERENCE:
                place.replace_self([node for part in course.reference for node in self._group(part)])

    def _map(self, course: Course) -> nodes.raw:
        places = positions(course)
        filled = {
            "parts": [
                {"heading": part.heading, "nodes": [self._node(course, page) for page in part.pages]}
                for part in course.parts
            ],
            "paths": course.paths,
            "home": PurePosixPath(self.app.builder.get_target_uri(self.env.docname)).name,
            "columns": COLUMNS,
            "rows": 1 + max(row for row, _ in places.values()),
            "edges": list(_edges(course, places)),
        }
        return nodes.raw("", self.app.builder.templates.render("course-map.html", filled), format="html")

    def _node(self, course: Course, page: Page) -> dict[str, Any]:
        return {
            "page": page,
            "link": self.app.builder.get_relative_uri(self.env.docname, page.docname),
            "direct": ", ".join(f"{course.pages[need].number} {course.pages[need].short}" for need in page.needs),
            "needs": " ".join(sorted(all_needs(course, page))),
            "paths": " ".join(path.name for path in course.paths if page.docname in path.docnames),
        }

    def _group(self, part: Part) -> Iterator[nodes.Element]:
        yield nodes.paragraph("", part.heading, classes=["part"])
        yield nodes.bullet_list("", *(self._item(page) for page in part.pages), classes=[REFERENCE])

    def _item(self, page: Page) -> nodes.list_item:
        target = self.app.builder.get_relative_uri(self.env.docname, page.docname)
        link = nodes.reference("", page.heading, internal=True, refuri=target)
        return nodes.list_item("", nodes.paragraph("", "", link), classes=[page.kind])


def positions(course: Course) -> dict[str, tuple[int, int]]:
    """Return the row and the column of each page on the map; a part begins a new row."""
    places, row = {}, 0
    for part in course.parts:
        for number, page in enumerate(part.pages):
            places[page.docname] = (row + number // COLUMNS, number % COLUMNS)
        row += -(-len(part.pages) // COLUMNS)
    return places


def all_needs(course: Course, page: Page) -> set[str]:
    """Return what a page needs, and what that needs in turn."""
    found = set(page.needs)
    return found.union(*(all_needs(course, course.pages[need]) for need in found))


def _edges(course: Course, places: dict[str, tuple[int, int]]) -> Iterator[dict[str, str]]:
    """Yield a curve for each need that does not follow from another need."""
    for docname, (row, column) in places.items():
        needs = course.pages[docname].needs
        implied = set().union(*(all_needs(course, course.pages[need]) for need in needs))
        for need in [need for need in needs if need not in implied]:
            curve = _curve(places[need], (row, column))
            yield {"ends": f"{need} {docname}", "path": curve}


def _curve(start: tuple[int, int], end: tuple[int, int]) -> str:
    """Draw from the middle of one place to another, in units of places; pages cover what lies below them."""
    (row, column), (to_row, to_column) = start, end
    x, y, to_x, to_y = column + 0.5, row + 0.5, to_column + 0.5, to_row + 0.5
    if row == to_row and abs(column - to_column) > 1:  # around the pages between
        return f"M{x} {y}C{x} {y - 0.7:g} {to_x} {y - 0.7:g} {to_x} {to_y}"
    between = (y + to_y) / 2
    return f"M{x} {y}C{x} {between} {to_x} {between} {to_x} {to_y}"


def setup(app: Sphinx) -> None:
    """Register the directives and what fills them."""
    app.add_directive(MAP, FilledLaterDirective)
    app.add_directive(REFERENCE, FilledLaterDirective)
    app.add_post_transform(FillMap)
    app.connect("doctree-read", _note_promise)
