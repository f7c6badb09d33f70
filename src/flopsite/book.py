"""Keep what pages tell each other and the build, in a Sphinx domain."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, cast

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains import Domain
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from flopsite.course.outline import Course

if TYPE_CHECKING:
    from flopsite.execution.kernel import Kernels
    from flopsite.execution.reader import Page


@dataclass(frozen=True)
class Failure:
    """Describes a code cell that stopped its page."""

    path: str
    line: int
    cell: int
    source: str
    reason: str

    @property
    def headline(self) -> str:
        """Name the file, the line and the cell."""
        return f"{self.path}:{self.line}: code cell {self.cell} failed: {self.reason.splitlines()[-1]}"

    def __str__(self) -> str:
        def indented(text: str) -> str:
            return "\n".join(f"    {line}".rstrip() for line in text.splitlines())

        return f"{self.headline}\n\n{indented(self.source)}\n\n{indented(self.reason)}\n"


class FilledLater(nodes.General, nodes.Element):
    """Marks a place that is filled once every page has been read."""


class FilledLaterDirective(SphinxDirective):
    """Leave a `FilledLater` node that has the directive's name."""

    def run(self) -> list[nodes.Node]:
        Book.of(self.env).data["filled_later"].add(self.env.docname)
        return [FilledLater(filling=self.name)]


class Book(Domain):
    """Keeps the course, and what pages tell, from one build to the next."""

    name = "book"
    label = "Book"
    initial_data: ClassVar[dict[str, Any]] = {
        "course": None,
        "settings": {},
        "promises": {},
        "formulas": {},
        "calculators": {},
        "places": {},
        "seconds": {},
        "filled_later": set(),
        "pdf": False,
    }
    data_version = len(initial_data)  # a new field makes the data of an older build invalid

    def setup(self) -> None:
        super().setup()
        self.pages: dict[str, Page] = {}  # pages with code that this build reads
        self.failures: list[Failure] = []
        self.reread: set[str] = set()  # the pages that this build reads
        self.course: Course
        self.kernels: Kernels
        self.has_moved = False  # whether the course has changed since the last build

    @classmethod
    def of(cls, env: BuildEnvironment) -> "Book":
        """Return the book of an environment."""
        return cast(Book, env.get_domain(cls.name))

    def clear_doc(self, docname: str) -> None:
        formulas = self.data["formulas"]
        for name in [name for name, box in formulas.items() if box["docname"] == docname]:
            del formulas[name]
        for kept in ("settings", "promises", "calculators", "places"):
            self.data[kept].pop(docname, None)
        self.data["seconds"].pop(docname, None)
        self.data["filled_later"].discard(docname)

    def resolve_any_xref(self, *args: Any, **kwargs: Any) -> list[Any]:
        return []


def _note_reading(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    Book.of(env).reread = set(docnames)
    for docname in docnames:  # before the first is read, as what one page had may now stand on another
        env.clear_doc(docname)


def _rewrite_pages_filled_later(app: Sphinx, env: BuildEnvironment) -> Iterable[str]:
    book = Book.of(env)
    return sorted(book.data["filled_later"]) if book.reread else []


def setup(app: Sphinx) -> None:
    """Register the domain; rewrite pages with a `FilledLater` whenever a page was read."""
    app.add_domain(Book)
    app.add_node(FilledLater)
    app.connect("env-before-read-docs", _note_reading)
    app.connect("env-updated", _rewrite_pages_filled_later)
