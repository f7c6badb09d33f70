"""Read the outline of the book from `course.yml`: parts, pages, numbers, needs and paths."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml

FILE = "course.yml"
#: The key that names a page in `course.yml`, and the folder of its file.
FOLDERS = {"lecture": "lectures", "lab": "notebooks", "page": "reference", "record": "reference/records"}
_DATA = "reference/data"  # the page of a record is in the book only if the record is in this folder
_REQUIRED = {
    "lecture": {"title", "minutes", "needs", "question"},
    "lab": {"title", "needs"},
    "page": {"title"},
    "record": {"title"},
}
_OPTIONAL = {"short", "keywords"}
_OF_A_BOOK = {"parts", "reference", "paths", "absent"}
_OF_A_PATH = {"path", "title", "reader", "depth", "pages"}
_ROMAN = ["I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX", "X"]
_MOST_LETTERS = 24


class CourseError(ValueError):
    """Says what is wrong in `course.yml`, by the name of the page."""


@dataclass(frozen=True)
class Page:
    """Describes one page, as a line of `course.yml` states it."""

    kind: str
    docname: str
    title: str
    short: str
    number: int | None = None  # of a lecture, from 1 to the end of the book
    minutes: int | None = None
    needs: tuple[str, ...] = ()  # docnames of lectures
    boxes: tuple[str | None, ...] = ()  # for each need, the name of the box that is used; None for its first
    keywords: tuple[str, ...] = ()
    question: str | None = None  # that a lecture answers

    @property
    def heading(self) -> str:
        """Return the title, with a lecture's number before it."""
        return f"{self.number} {self.title}" if self.number else self.title


@dataclass(frozen=True)
class Part:
    """Holds a group of pages; parts of the course have a Roman number."""

    title: str
    numeral: str | None
    pages: tuple[Page, ...]

    @property
    def heading(self) -> str:
        """Return the title, with the part's number before it."""
        return f"{self.numeral} {self.title}" if self.numeral else self.title

    @property
    def docnames(self) -> list[str]:
        """Return the docnames of the part's pages."""
        return [page.docname for page in self.pages]


@dataclass(frozen=True)
class ReadingPath:
    """Holds the pages that one kind of reader reads, in order, and how deep."""

    name: str
    title: str
    reader: str  # whom the path is for
    depth: str
    docnames: tuple[str, ...]

    def after(self, docname: str) -> str | None:
        """Return the page that follows one; None after the last, and after a page off the path."""
        return dict(pairwise(self.docnames)).get(docname)


@dataclass(frozen=True)
class Course:
    """Holds all parts, the groups of the reference, the paths, and what the book does not cover yet."""

    parts: tuple[Part, ...]
    reference: tuple[Part, ...]
    paths: tuple[ReadingPath, ...] = ()
    absent: tuple[str, ...] = ()

    @cached_property
    def pages(self) -> dict[str, Page]:
        """Return every page under its docname, in the order of the book."""
        return {page.docname: page for part in (*self.parts, *self.reference) for page in part.pages}

    @cached_property
    def lectures(self) -> list[Page]:
        """Return the numbered pages."""
        return [page for page in self.pages.values() if page.number]

    def neighbours(self, docname: str) -> tuple[Page | None, Page | None]:
        """Return the pages before and after one; None where there is none."""
        order = [None, *self.pages.values(), None]
        if docname not in self.pages:
            return None, None
        place = order.index(self.pages[docname])
        return order[place - 1], order[place + 1]


def read_course(root: Path) -> Course:
    """Read the outline of a book from its `course.yml`, and check it.

    Raises
    ------
    CourseError
        If a line cannot be read, a page is named twice, has no file or is in no part, if a need is unknown,
        comes later or closes a circle, if a path names what is not a page or turns the order of needs round,
        or if a word is both absent and a keyword.
    """
    try:
        stated = yaml.safe_load((root / FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise CourseError("the file is missing: it lists the pages of the book, in order") from None
    except yaml.YAMLError as error:
        raise CourseError(f"this is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(stated, dict) or set(stated) - _OF_A_BOOK or not stated.get("parts"):
        raise CourseError("it holds parts, and may hold a reference, paths and absent words, and nothing else")
    numbers = iter(range(1, 1000))
    parts = tuple(_part(part, numeral, numbers) for numeral, part in zip(_ROMAN, stated["parts"], strict=False))
    groups = tuple(_part(part, None, numbers) for part in stated.get("reference") or [])
    _check_files([page.docname for part in (*parts, *groups) for page in part.pages], root)
    parts, groups = (tuple(_without_waiting(part, root) for part in both) for both in (parts, groups))
    course = Course(parts, groups, absent=tuple(stated.get("absent") or ()))
    _check_needs(list(course.pages.values()))
    _check_absent(course)
    return replace(course, paths=tuple(_path(path, course.pages) for path in stated.get("paths") or []))


def _part(stated: Any, numeral: str | None, numbers: Iterator[int]) -> Part:
    if not isinstance(stated, dict) or set(stated) != {"title", "pages"}:
        raise CourseError(f"a part has a title and pages, not {_brief(stated)}")
    return Part(stated["title"], numeral, tuple(_page(line, numbers) for line in stated["pages"] or []))


def _without_waiting(part: Part, root: Path) -> Part:
    """Return a part without the pages whose record is missing."""
    pages = (page for page in part.pages if page.kind != "record" or is_recorded(root, page.docname))
    return replace(part, pages=tuple(pages))


def is_recorded(root: Path, docname: str) -> bool:
    """Tell whether the record that a page shows exists."""
    return (root / _DATA / f"{Path(docname).name}.json").is_file()


def _page(line: Any, numbers: Iterator[int]) -> Page:
    kinds = [kind for kind in FOLDERS if isinstance(line, dict) and kind in line]
    if len(kinds) != 1:
        raise CourseError(f"a page begins with one of {', '.join(FOLDERS)}, not {_brief(line)}")
    kind = kinds[0]
    docname, given = f"{FOLDERS[kind]}/{line[kind]}", set(line) - {kind}
    if missing := _REQUIRED[kind] - given:
        raise CourseError(f"{docname} has no {', '.join(sorted(missing))}")
    if unknown := given - _REQUIRED[kind] - _OPTIONAL:
        raise CourseError(f"{docname} has {', '.join(sorted(unknown))}, which a {kind} does not have")
    needs = [next(iter(need.items())) if isinstance(need, dict) else (need, None) for need in line.get("needs", ())]
    short = line.get("short", line["title"])
    if len(short) > _MOST_LETTERS and kind != "page":
        raise CourseError(f"{docname} has no short title of at most {_MOST_LETTERS} letters: {short!r} is too long")
    return Page(
        kind,
        docname,
        line["title"],
        short,
        next(numbers) if kind == "lecture" else None,
        line.get("minutes"),
        tuple(f"{FOLDERS['lecture']}/{need}" for need, _ in needs),
        tuple(box for _, box in needs),
        tuple(line.get("keywords", ())),
        line.get("question"),
    )


def _path(stated: Any, pages: Mapping[str, Page]) -> ReadingPath:
    """Read a path, which names pages as their lines do, and check its order."""
    if not isinstance(stated, dict) or set(stated) != _OF_A_PATH:
        raise CourseError(f"a path has {', '.join(sorted(_OF_A_PATH))}, not {_brief(stated)}")
    docnames = {docname.split("/", 1)[1]: docname for docname in pages}
    path = f"the path {stated['path']}"
    for name in stated["pages"]:
        if name not in docnames:
            raise CourseError(f"{path} has {name}, which is not a page of the book")
        if stated["pages"].count(name) > 1:
            raise CourseError(f"{path} has {name} twice")
    order = tuple(docnames[name] for name in stated["pages"])
    for place, docname in enumerate(order):
        if later := [need for need in pages[docname].needs if need in order[place:]]:
            raise CourseError(f"{path} has {docname} before {later[0]}, which it needs: change their order")
    return ReadingPath(stated["path"], stated["title"], stated["reader"], stated["depth"], order)


def _check_absent(course: Course) -> None:
    """Check that no word that the book lacks is a keyword of a page."""
    words = {word.lower() for word in course.absent}
    for page in course.pages.values():
        if covered := [word for word in page.keywords if word.lower() in words]:
            raise CourseError(f"{covered[0]} is absent, and a keyword of {page.docname}: take it out of one of the two")


def _brief(stated: Any) -> str:
    text = repr(stated)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _check_files(named: list[str], root: Path) -> None:
    """Check that each page is named once with a file, and each file named."""
    for docname in named:
        if named.count(docname) > 1:
            raise CourseError(f"{docname} stands in it twice")
        if not (root / f"{docname}.md").is_file():
            raise CourseError(f"{docname} has no file: write {docname}.md, or take its line out")
    for folder in FOLDERS.values():
        for path in sorted((root / folder).glob("*.md")):
            if (docname := f"{folder}/{path.stem}") not in named:
                raise CourseError(f"{docname} is in no part: give it a line where it belongs")


def _check_needs(pages: list[Page]) -> None:
    """Check that each page needs lectures that come before it."""
    order = [page.docname for page in pages]
    for page in pages:
        for need in page.needs:
            if need not in order:
                raise CourseError(f"{page.docname} needs {need}, which is not a lecture of the course")
    try:
        TopologicalSorter({page.docname: page.needs for page in pages}).prepare()
    except CycleError as error:
        raise CourseError(f"these need each other in a circle: {', '.join(error.args[1])}") from None
    for place, page in enumerate(pages):
        if later := [need for need in page.needs if need in order[place:]]:
            raise CourseError(f"{page.docname} needs {later[0]}, which comes later: move one of the two lines")
