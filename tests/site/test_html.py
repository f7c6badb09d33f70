"""Test the HTML as text: no foreign files, no dead links, no errors."""

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from tests.support.html import Opening, anchors, tags, tags_in, without_formulas

LOADED = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "img": "src",
    "image": "href",
    "input": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "use": "href",
    "video": "src",
}
STYLE = re.compile(r"<style\b[^>]*>(.*?)</style>", re.DOTALL)
STYLE_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")
#: What readers see as it stands, and tags.
AS_WRITTEN = re.compile(r"<(script|pre|code)\b.*?</\1>|<[^>]*>", re.DOTALL)


def is_elsewhere(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def loaded_by(page: list[Opening]) -> Iterator[str]:
    for name, attributes in page:
        if LOADED.get(name) in attributes:
            yield attributes[LOADED[name]]
        if "style" in attributes:
            yield from styles_load(attributes["style"])


def styles_load(style: str) -> Iterator[str]:
    return (found[1] or found[2] for found in STYLE_URL.finditer(style))


def test_the_tags_of_a_page_are_those_that_a_parser_finds(site):
    page, found = site / "lectures" / "seconds.html", []
    parser = HTMLParser()
    parser.handle_starttag = lambda name, pairs: found.append((name, {key: value or "" for key, value in pairs}))
    parser.feed(page.read_text("utf-8"))
    assert [
        (tag.name.lower(), {key.lower(): value for key, value in tag.attributes.items()}) for tag in tags(page)
    ] == found


def test_no_page_loads_anything_from_another_host(site, pages):
    assert {page: [a for a in loaded_by(tags(site / page)) if is_elsewhere(a)] for page in pages} == {
        page: [] for page in pages
    }


def test_no_style_loads_anything_from_another_host(site, pages):
    styles = [style.read_text("utf-8") for style in site.rglob("*.css")]
    assert styles
    styles += [style for page in pages for style in STYLE.findall((site / page).read_text("utf-8"))]
    assert [a for style in styles for a in styles_load(style) if is_elsewhere(a)] == []


def test_the_search_for_other_hosts_can_fail():
    page = '<img src="https://example.org/a.png"><p style="background: url(//example.org/b)">'
    style = '<style>@import "https://example.org/c"</style>'
    loaded = [*loaded_by(tags_in(page)), *styles_load(STYLE.findall(style)[0])]
    assert [is_elsewhere(address) for address in loaded] == [True, True, True]


def dead_links(site: Path, name: str) -> Iterator[str]:
    """Find links of a page to files or anchors that the site lacks."""
    here = tags(site / name)
    links = (tag.attributes["href"] for tag in here if tag.name == "a" and "href" in tag.attributes)
    addresses = [*loaded_by(here), *links]
    for address in addresses:
        if urlsplit(address).scheme or is_elsewhere(address):
            continue
        path, anchor = urldefrag(address)
        folder = site if path.startswith("/") else (site / name).parent
        target = folder / unquote(urlsplit(path).path).lstrip("/") if path else site / name
        if not target.is_file() or (anchor and unquote(anchor) not in anchors(target)):
            yield address


def test_every_internal_link_leads_somewhere(site, pages):
    assert {page: sorted(set(dead_links(site, page))) for page in pages} == {page: [] for page in pages}


def test_a_dead_link_is_found(tmp_path):
    (tmp_path / "a.html").write_text('<p id="here"><a href="#here"></a><a href="#there"></a><a href="b.html"></a>')
    assert list(dead_links(tmp_path, "a.html")) == ["#there", "b.html"]


def test_the_api_explains_and_does_not_count_fields(site):
    text = AS_WRITTEN.sub("", (site / "reference" / "api" / "predict.html").read_text("utf-8"))
    assert "Alias for field number" not in text
    assert "Bytes of a number. The moments" in " ".join(text.split())  # of flopbook.predict.memory.Formats


def raw_latex(page: str) -> list[str]:
    """Find commands of LaTeX in the text, outside code and formulas."""
    return re.findall(r"\\[a-z]+.{0,20}", AS_WRITTEN.sub("", without_formulas(page)))


def test_raw_latex_is_found():
    page = r'<p>\frac{1}{2}<code>\pi</code><span class="katex"><span class="katex-html"><span>\sum</span></span></span>'
    assert raw_latex(page) == [r"\frac{1}{2}"]


def test_no_page_shows_raw_latex(site, pages):
    found = {name: raw_latex((site / name).read_text("utf-8")) for name in pages}
    assert {name: words for name, words in found.items() if words} == {}


def test_no_page_shows_an_error_or_a_warning(site, pages):
    wrong = ["stderr", "traceback", "katex-error", "system-message", "problematic"]
    found = {page: [tag for tag in tags(site / page) if tag.has_class(*wrong)] for page in pages}
    assert found == {page: [] for page in pages}


def test_every_figure_has_a_text(site, pages):
    figures = [
        inner.attributes
        for page in pages
        for outer, inner in pairwise(tags(site / page))
        if outer.has_class("figure") and inner.name == "svg"
    ]
    assert figures
    assert [figure for figure in figures if figure["role"] != "img" or not figure["aria-label"].strip()] == []


def test_every_id_of_a_page_is_there_once(site, pages):
    for page in pages:
        ids = [tag.attributes["id"] for tag in tags(site / page) if "id" in tag.attributes]
        assert len(ids) == len(set(ids)), page


def test_every_page_with_code_offers_its_notebook(site, pages):
    offered = [page for page in pages if any(tag.has_class("take-away") for tag in tags(site / page))]
    assert offered
    assert len(offered) == len(list((site / "notebooks").rglob("*.ipynb")))
