"""The course as a whole: its lectures in order, and the map that says what each of them derives."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, Late, LateDirective

MAP = "course-map"
_FOLDER = "lectures/"
_PROMISE = "You will derive"


def lectures(env: BuildEnvironment) -> list[str]:
    """The lectures in their order."""
    return sorted(docname for docname in env.found_docs if docname.startswith(_FOLDER))


def _note_promise(app: Sphinx, page: nodes.document) -> None:
    """Keep what a page says that the reader will derive."""
    for item in page.findall(nodes.definition_list_item):
        term, *_, definition = item.children
        if term.astext() == _PROMISE:
            Book.of(app.env).data["promises"][app.env.docname] = definition[0]
            return


class FillMap(SphinxPostTransform):
    """Replaces the `{course-map}` directive by the lectures, each with what it derives."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for place in [node for node in self.document.findall(Late) if node["filling"] == MAP]:
            stations = [self._station(docname) for docname in lectures(self.env)]
            place.replace_self(nodes.enumerated_list("", *stations, classes=[MAP]))

    def _station(self, docname: str) -> nodes.list_item:
        target = self.app.builder.get_relative_uri(self.env.docname, docname)
        title = nodes.reference("", self.env.titles[docname].astext(), internal=True, refuri=target)
        promise = Book.of(self.env).data["promises"].get(docname)
        return nodes.list_item("", nodes.paragraph("", "", title), *([promise.deepcopy()] if promise else []))


def setup(app: Sphinx) -> None:
    """Register the directive and what fills it."""
    app.add_directive(MAP, LateDirective)
    app.add_post_transform(FillMap)
    app.connect("doctree-read", _note_promise)
