"""Show below a page's title the lectures that it needs, each with the box that it uses."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book
from flopsite.course.outline import Page
from flopsite.math.boxes import target
from flopsite.warnings import Kind, warn


class ShowNeeds(SphinxPostTransform):
    """Puts a list behind the title; an entry unfolds to the formula that the page uses."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        course = Book.of(self.env).course
        page = course.pages.get(self.env.docname)
        if page is None or not page.needs:
            return
        chips = [_html('<ul class="needs"><li>Needs</li>')]
        for need, box in zip(page.needs, page.boxes, strict=True):
            chips += [_html("<li>"), *self._chip(course.pages[need], box), _html("</li>")]
        title = next(self.document.findall(nodes.title))
        title.parent[1:1] = [*chips, _html("</ul>")]

    def _chip(self, need: Page, box: str | None) -> Iterator[nodes.Node]:
        address = self.app.builder.get_relative_uri(self.env.docname, need.docname)
        formula = self._formula(need, box)
        yield _html(f'<details name="needs"><summary>{need.number} {escape(need.short)}</summary>')
        if formula:
            address += f"#{target(formula['name'])}"
            formula_set = nodes.math("", rf"\displaystyle {formula['latex']}")
            yield nodes.paragraph("", "", nodes.Text(f"{formula['title']}: "), formula_set)
            yield nodes.paragraph("", f"Holds when {formula['when']}.")
        link = nodes.reference("", f"Read {need.heading}", internal=True, refuri=address)
        yield nodes.paragraph("", "", link)
        yield _html("</details>")

    def _formula(self, need: Page, box: str | None) -> dict[str, Any] | None:
        """Return the named box of a lecture, or its first."""
        boxes = Book.of(self.env).data["formulas"].values()
        found = {formula["name"]: formula for formula in boxes if formula["docname"] == need.docname}
        if box is None:
            return next(iter(found.values()), None)
        if box not in found:
            message = f"{self.env.docname} needs the box {box!r} of {need.docname}, whose boxes are {', '.join(found)}"
            warn(Kind.COURSE, message, self.document)
        return found.get(box)


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _rewrite_what_needs(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    """Return the pages that show a box of a page which was read again."""
    book = Book.of(env)
    return [page.docname for page in book.course.pages.values() if book.reread.intersection(page.needs)]


def setup(app: Sphinx) -> None:
    """Register the transform, and what keeps its boxes up to date."""
    app.add_post_transform(ShowNeeds)
    app.connect("env-updated", _rewrite_what_needs)
