"""Join the built pages into one to print: unique anchors, nothing to click, folds open."""

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from urllib.parse import urldefrag, urlsplit

from bs4 import BeautifulSoup, Tag

_STYLES = [
    "styles/furo.css",
    "pygments.css",
    "katex/katex.min.css",
    "teaching/panel.css",
    "web/flopsite.css",
    "web/print.css",
]
# Parts that serve on a screen alone, and folded code, which the notebooks have.
_LEFT_OUT = ".headerlink, script, style, button, input, form, .page-line, .needs, .cell-tools, details.hide"


@dataclass(frozen=True)
class Chapter:
    """Describes a page of the site: its address, title and part of the book."""

    address: str
    title: str
    part: str

    @property
    def anchor(self) -> str:
        """Return the id that the page has in the book."""
        return self.address.removesuffix(".html").replace("/", "-")


def chapters(site: Path) -> Iterator[Chapter]:
    """Yield the pages in the order of the site's navigation."""
    for part in _read(site / "index.html").select(".sidebar-tree > details"):
        for link in part.select("a"):
            address = str(link["href"])
            _, h1, after = (site / address).read_text("utf-8").partition("<h1")
            title = BeautifulSoup(h1 + after.partition("</h1>")[0], "html.parser")
            for left_out in title.select(".headerlink"):
                left_out.decompose()
            yield Chapter(address, title.get_text(), part.select("summary")[0].get_text())


def on_paper(site: Path, title: str, subtitle: str) -> str:
    """Write the HTML of the whole book; in its contents, the page of each anchor is still to be filled in."""
    contents = list(chapters(site))
    anchors = {chapter.address: chapter.anchor for chapter in contents}
    styles = "".join(f'<link rel="stylesheet" href="../html/_static/{style}">' for style in _STYLES)
    bodies = "".join(_body(site, chapter, anchors) for chapter in contents)
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>{styles}</head>'
        f'<body data-theme="light" class="book"><header><p class="book-title">{escape(title)}</p>'
        f"<p>{escape(subtitle)}</p></header>{_table_of_contents(contents)}{bodies}</body></html>"
    )


def _read(path: Path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def _table_of_contents(contents: list[Chapter]) -> str:
    lines, part = [], ""
    for chapter in contents:
        if chapter.part != part:
            part = chapter.part
            lines.append(f'<li class="part">{escape(part)}</li>')
        page = f'<span data-page-of="{chapter.anchor}"></span>'
        lines.append(f'<li><a href="#{chapter.anchor}">{escape(chapter.title)}</a>{page}</li>')
    return f'<nav><h1>Contents</h1><ul class="book-contents">{"".join(lines)}</ul></nav>'


def _body(site: Path, chapter: Chapter, anchors: Mapping[str, str]) -> str:
    article = _read(site / chapter.address).select_one('[role="main"]')
    assert article, chapter.address
    for found in article.select(_LEFT_OUT):
        found.decompose()
    for fold in article.select("details"):
        fold["open"] = ""
    for element in article.select("[id]"):
        if not element.find_parent("svg"):  # the ids in a figure are unique already, and the figure refers to them
            element["id"] = f"{chapter.anchor}--{element['id']}"
    for link in article.select("a[href]"):
        _lead(link, chapter, anchors)
    for image in article.select("img[src]"):
        image["src"] = posixpath.join("../html", posixpath.dirname(chapter.address), str(image["src"]))
    return f'<article id="{chapter.anchor}">{article.decode_contents()}</article>'


def _lead(link: Tag, chapter: Chapter, anchors: Mapping[str, str]) -> None:
    """Let a link lead into the book, or replace it by its text."""
    address, fragment = urldefrag(str(link["href"]))
    if urlsplit(address).scheme:
        return
    folder = posixpath.dirname(chapter.address)
    target = posixpath.normpath(posixpath.join(folder, address)) if address else chapter.address
    if anchor := anchors.get(target):
        link["href"] = f"#{anchor}--{fragment}" if fragment else f"#{anchor}"
    else:
        link.unwrap()
