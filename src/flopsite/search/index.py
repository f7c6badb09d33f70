"""Gather what search finds: pages, sections, boxes, pictures, exercises, terms and names, each with its anchor.

A section has keywords of its own in a comment below its heading: `<!-- search: LoRA, low-rank adapters -->`. Those of a
page are in `course.yml`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from html import unescape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform

from flopsite.book import Book
from flopsite.exercises.forms import Form

_KEYWORDS = re.compile(r"<!--\s*search:\s*(.*?)\s*-->", re.DOTALL)
_PICTURE = re.compile(r'<figure class="picture" id="([\w-]+)"[^>]* aria-label="Picture: ([^"]*)"')
_MODULE = "module-"  # how the anchor of a module's section begins
_PAGE = re.compile("⟨(.*?)⟩")  # a link that will show the heading of a page
_SILENT = (nodes.raw, nodes.literal_block, nodes.comment, nodes.math_block, nodes.title, addnodes.toctree, Form)
#: What is an entry of its own, and so no part of the text around it.
_APART = (nodes.section, addnodes.desc)
_CLASSES_APART = {"formula-box", "glossary"}


@dataclass
class Entry:
    """Holds one place that search finds."""

    kind: str  # lecture, lab, page, section, box, picture, exercise, term or name
    anchor: str
    title: str
    words: str = ""  # found like the title, and not shown
    text: str = ""


def entries(page: nodes.document) -> Iterator[Entry]:
    """Yield the places of a page: of each section its own text, and what stands in it."""
    for section in page.findall(nodes.section):
        is_page = section.parent is page
        anchor = "" if is_page else section["ids"][0]
        keywords = (_KEYWORDS.fullmatch(raw.astext().strip()) for raw in _own(section, nodes.raw))
        yield Entry(
            "page" if is_page else "name" if anchor.startswith(_MODULE) else "section",
            anchor,
            section[0].astext(),
            ", ".join(found[1] for found in keywords if found),
            _spaced(" ".join(_text(child) for child in section.children)),
        )
        yield from _to_learn(section)
        yield from _to_look_up(section)


def _own(section: nodes.section, kind: type[nodes.Element]) -> Iterator[Any]:
    """Yield the nodes of a kind in a section, without those of sections below it."""
    for child in section.children:
        if not isinstance(child, nodes.section):
            yield from child.findall(kind)


def _to_learn(section: nodes.section) -> Iterator[Entry]:
    """Yield the pictures, boxes and exercises of a section."""
    drawn = "".join(raw.astext() for raw in _own(section, nodes.raw))
    for anchor, title in dict(_PICTURE.findall(drawn)).items():  # an output has its HTML in more than one format
        yield Entry("picture", anchor, unescape(title), "picture")
    for box in _own(section, nodes.container):
        if "formula-box" in box["classes"]:
            title, formula, condition, *_ = box.children
            yield Entry("box", box["ids"][0], title.astext(), typed(formula.astext()), condition.astext())
    for form in _own(section, Form):
        title = f"{form['number']}. {form['words']}"
        task = form.parent[form.parent.index(form) - 1]
        yield Entry("exercise", nodes.make_id(f"exercise {form['words']}"), title, "exercise", _spaced(_text(task)))


def _to_look_up(section: nodes.section) -> Iterator[Entry]:
    """Yield the terms and names of a section."""
    for item in _own(section, nodes.definition_list_item):
        for term in item.findall(nodes.term):
            if term["ids"]:
                yield Entry("term", term["ids"][0], term.astext(), "", _spaced(_text(item[-1])))
    for described in _own(section, addnodes.desc):
        signature = described[0]
        if signature.get("ids"):
            name = signature["ids"][0]
            first = next(described[-1].findall(nodes.paragraph), None)
            yield Entry("name", name, name.rpartition(".")[2], name, first.astext() if first else "")


def typed(latex: str) -> str:
    """Write a formula as one types it; what has commands of LaTeX cannot be typed.

    >>> typed("2 B D K"), typed(r"\\frac{1}{2}")
    ('2BDK', '')
    """
    plain = re.sub(r"\\(left|right)|[{}_\s]", "", latex)
    return "" if "\\" in plain else plain


def _text(node: nodes.Node) -> str:
    """Return what one reads of a node, without code, displayed formulas and what is an entry of its own."""
    if isinstance(node, nodes.Text):
        return node.astext()
    if isinstance(node, nodes.math):
        return typed(node.astext()) or "…"
    if isinstance(node, addnodes.pending_xref) and node["refdomain"] == "cite":
        return ""
    if isinstance(node, addnodes.pending_xref) and node["refdomain"] == "doc" and not node["refexplicit"]:
        return f"⟨{node['reftarget']}⟩"
    assert isinstance(node, nodes.Element)
    if isinstance(node, (*_SILENT, *_APART)) or _CLASSES_APART.intersection(node["classes"]):
        return ""
    between = "" if isinstance(node, nodes.TextElement) else " "
    return between.join(_text(child) for child in node.children)


def _spaced(text: str) -> str:
    """Leave one space between words, and none before a comma or a full stop."""
    return re.sub(r" (?=[,.;:?]( |$))", "", " ".join(text.split()))


class Gather(SphinxTransform):
    """Keeps the places of each page that is read."""

    default_priority = 890  # once the forms have their titles

    def apply(self, **kwargs: Any) -> None:
        Book.of(self.env).data["places"][self.env.docname] = [asdict(entry) for entry in entries(self.document)]


def _write(app: Sphinx, exception: Exception | None) -> None:
    """Write the index as a script, which a page may also load from a disk."""
    if exception or app.builder.format != "html":
        return
    book = Book.of(app.env)
    places = [_shown(app, docname, place) for docname in book.course.pages for place in book.data["places"][docname]]
    index = json.dumps({"absent": book.course.absent, "places": places}, ensure_ascii=False, separators=(",", ":"))
    (Path(app.outdir) / "search-index.js").write_text(f"flopbook.searchIndex = {index};\n", "utf-8")


def _shown(app: Sphinx, docname: str, place: dict[str, str]) -> dict[str, str]:
    """Give a place its address, its page's heading, and a page its own kind and keywords."""
    pages = Book.of(app.env).course.pages
    page = pages[docname]
    place = {**place, "text": _PAGE.sub(lambda link: pages[link[1]].title, place["text"])}
    shown = {key: value for key, value in place.items() if value and key != "anchor"}
    anchor = f"#{place['anchor']}" if place["anchor"] else ""
    shown["address"] = app.builder.get_target_uri(docname) + anchor
    if place["kind"] == "page":
        return {**shown, "kind": page.kind, "title": page.heading, "words": ", ".join([page.short, *page.keywords])}
    return {**shown, "of": page.heading}


def _replace_sphinx_search(app: Sphinx) -> None:
    """Leave out the index of Sphinx, whose hits are pages and not sections."""
    app.builder.search = False  # type: ignore[attr-defined]


def _search_page(app: Sphinx) -> Iterator[tuple[str, dict[str, Any], str]]:
    yield "search", {}, "search.html"


def setup(app: Sphinx) -> None:
    """Gather places as pages are read, and write the index and the page of results."""
    app.connect("builder-inited", _replace_sphinx_search)
    app.add_transform(Gather)
    app.connect("html-collect-pages", _search_page)
    app.connect("build-finished", _write)
    app.add_css_file("search/search.css")
    app.add_js_file("search/search.js", loading_method="defer")
