"""Read the pages of the built site as HTML, each once: as a tree, whole or in part, or its tags alone."""

import gc
import re
from functools import cache
from html import unescape
from pathlib import Path
from typing import NamedTuple

from bs4 import BeautifulSoup

_SCRIPT = re.compile(r"(<script\b[^>]*>).*?(?=</script>)|<!--.*?-->", re.DOTALL)
_TAG = re.compile(r"""<([a-z][^\s/>]*)((?:[^>"']|"[^"]*"|'[^']*')*)>""")
_ATTRIBUTE = re.compile(r"""([^\s=/"']+)(?:=(?:"([^"]*)"|'([^']*)'))?""")
#: What is set for eyes and for ears in a formula, a third of all pages.
_SET = re.compile(r'<span class="katex-(?:html|mathml)"')
_SPAN = re.compile(r"<(/?)span\b[^>]*>")


class Opening(NamedTuple):
    """Holds the name and the attributes of an element."""

    name: str
    attributes: dict[str, str]

    def has_class(self, *names: str) -> bool:
        return not set(names).isdisjoint(self.attributes.get("class", "").split())


@cache
def read(path: Path) -> BeautifulSoup:
    """Parse a page, in which formulas are empty; all callers share the result."""
    return _parsed(path.read_text("utf-8"))


@cache
def read_frame(path: Path) -> BeautifulSoup:
    """Parse what stands above and below the sections of a page."""
    above, _, below = path.read_text("utf-8").partition("<h2")
    return _parsed(above + below.rpartition("</article>")[2])


@cache
def read_from(path: Path, section: str) -> BeautifulSoup:
    """Parse a page from a section on."""
    _, begin, after = path.read_text("utf-8").partition(f'<section id="{section}">')
    return _parsed(begin + after)


def _parsed(html: str) -> BeautifulSoup:
    page = BeautifulSoup(without_formulas(html), "html.parser")
    gc.freeze()  # or Python would search all pages read so far for garbage, again and again: half of the time
    return page


def without_formulas(html: str) -> str:
    """Leave out what is set in formulas."""
    kept, end = [], 0
    while begin := _SET.search(html, end):
        kept.append(html[end : begin.start()])
        depth = 0
        for span in _SPAN.finditer(html, begin.start()):
            depth += -1 if span[1] else 1
            if not depth:
                break
        end = span.end()
    return "".join([*kept, html[end:]])


@cache
def tags(path: Path) -> list[Opening]:
    """List the elements of a page in their order, also those in formulas."""
    return tags_in(path.read_text("utf-8"))


def tags_in(html: str) -> list[Opening]:
    """List elements by their tags, in a sixth of the time that a tree takes."""
    return [
        Opening(name, {key: unescape(one or other) for key, one, other in _ATTRIBUTE.findall(inner)})
        for name, inner in _TAG.findall(_SCRIPT.sub(r"\1", html))
    ]


@cache
def anchors(path: Path) -> set[str]:
    """Collect the names in a page that links can lead to."""
    return {tag.attributes["id"] for tag in tags(path) if "id" in tag.attributes}
