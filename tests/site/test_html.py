"""Test the HTML as text: no foreign files, no dead links, no errors."""

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

from bs4 import BeautifulSoup, Tag

from tests.support.html import anchors, read

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
STYLE_URL = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


def is_elsewhere(address: str) -> bool:
    return bool(urlsplit(address).netloc)


def loaded_by(page: BeautifulSoup) -> Iterator[str]:
    for tag in page.find_all(True):
        if LOADED.get(tag.name) in tag.attrs:
            yield tag[LOADED[tag.name]]
        if "style" in tag.attrs:
            yield from styles_load(tag["style"])
        if tag.name == "style":
            yield from styles_load(tag.get_text())


def styles_load(style: str) -> Iterator[str]:
    return (found[1] or found[2] for found in STYLE_URL.finditer(style))


def test_no_page_loads_anything_from_another_host(site, pages):
    assert {page: [a for a in loaded_by(read(site / page)) if is_elsewhere(a)] for page in pages} == {
        page: [] for page in pages
    }


def test_no_style_loads_anything_from_another_host(site):
    styles = list(site.rglob("*.css"))
    assert styles
    assert [a for style in styles for a in styles_load(style.read_text("utf-8")) if is_elsewhere(a)] == []


def test_the_search_for_other_hosts_can_fail():
    page = BeautifulSoup(
        '<img src="https://example.org/a.png"><p style="background: url(//example.org/b)">'
        '<style>@import "https://example.org/c"</style>',
        "html.parser",
    )
    assert [is_elsewhere(address) for address in loaded_by(page)] == [True, True, True]


def dead_links(site: Path, name: str) -> Iterator[str]:
    """Find links of a page to files or anchors that the site lacks."""
    here = read(site / name)
    addresses = [*loaded_by(here), *(link["href"] for link in here.find_all("a") if "href" in link.attrs)]
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
    text = read(site / "reference" / "api" / "predict.html").get_text()
    assert "Alias for field number" not in text
    assert "Bytes of a number. The moments" in " ".join(text.split())  # of flopbook.predict.memory.Formats


def raw_latex(page: BeautifulSoup) -> list[str]:
    """Find commands of LaTeX in the text, outside code and KaTeX."""
    return re.findall(r"\\[a-z]+.{0,20}", "".join(shown(page)))


def shown(element: Tag) -> Iterator[str]:
    """Go through the text below an element, past code and formulas, which are most of a page."""
    for child in element.children:
        if not isinstance(child, Tag):
            yield child
        elif not is_code_or_set(child):
            yield from shown(child)


def is_code_or_set(element: Tag) -> bool:
    return element.name in ("script", "pre", "code") or "katex" in element.get("class", [])


def test_raw_latex_is_found():
    page = BeautifulSoup(r'<p>\frac{1}{2}<code>\pi</code><span class="katex"><b>\sum</b></span>', "html.parser")
    assert raw_latex(page) == [r"\frac{1}{2}"]


def test_no_page_shows_raw_latex(site, pages):
    found = {name: raw_latex(read(site / name)) for name in pages}
    assert {name: words for name, words in found.items() if words} == {}


def test_no_page_shows_an_error_or_a_warning(site, pages):
    wrong = ["stderr", "traceback", "katex-error", "system-message", "problematic"]
    found = {page: [str(one)[:200] for one in read(site / page).find_all(class_=wrong)] for page in pages}
    assert found == {page: [] for page in pages}


def test_every_figure_has_a_text_and_ids_of_its_own(site, pages):
    for page in pages:
        for figure in read(site / page).select(".figure svg"):
            assert figure["role"] == "img"
            assert figure["aria-label"].strip()
        ids = [element["id"] for element in read(site / page).find_all(True) if "id" in element.attrs]
        assert len(ids) == len(set(ids)), page


def test_every_page_with_code_offers_its_notebook(site, pages):
    offered = [page for page in pages if read(site / page).select("a.take-away")]
    assert offered
    assert len(offered) == len(list((site / "notebooks").rglob("*.ipynb")))
