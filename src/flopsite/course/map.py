"""List the pages on the first page, with what each lecture derives."""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.course.outline import Page, Part

MAP = "course-map"
REFERENCE = "reference-list"
_PROMISE = "You will derive"


def _note_promise(app: Sphinx, page: nodes.document) -> None:
    """Keep what a page says that the reader will derive."""
    for item in page.findall(nodes.definition_list_item):
        term, *_, definition = item.children
        if term.astext() == _PROMISE:
            Book.of(app.env).data["promises"][app.env.docname] = definition[0]
            return


class FillMap(SphinxPostTransform):
    """Replaces the `{course-map}` and `{reference-list}` directives by lists of pages."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        course = Book.of(self.env).course
        for place in list(self.document.findall(FilledLater)):
            if place["filling"] in (MAP, REFERENCE):
                parts = course.parts if place["filling"] == MAP else course.reference
                place.replace_self([node for part in parts for node in self._part(part, place["filling"])])

    def _part(self, part: Part, name: str) -> Iterator[nodes.Element]:
        yield nodes.paragraph("", part.heading, classes=["part"])
        yield nodes.bullet_list("", *(self._card(page) for page in part.pages), classes=[name])

    def _card(self, page: Page) -> nodes.list_item:
        target = self.app.builder.get_relative_uri(self.env.docname, page.docname)
        title = nodes.reference("", page.heading, internal=True, refuri=target)
        promise = Book.of(self.env).data["promises"].get(page.docname)
        says = [promise.deepcopy()] if promise and page.number else []
        return nodes.list_item("", nodes.paragraph("", "", title), *says, classes=[page.kind])


def setup(app: Sphinx) -> None:
    """Register the directives and what fills them."""
    app.add_directive(MAP, FilledLaterDirective)
    app.add_directive(REFERENCE, FilledLaterDirective)
    app.add_post_transform(FillMap)
    app.connect("doctree-read", _note_promise)
