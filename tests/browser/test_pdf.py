"""Test the printed book: its lectures, their code, numbered equations, working links."""

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from pypdfium2 import PdfDocument

from flopsite.course.outline import read_course
from flopsite.takeaway.pdf import beginnings, print_book
from flopsite.takeaway.print_html import chapters
from tests.conftest import ROOT
from tests.support.browser import IN_BROWSER, PAPER_WIDTH

pytestmark = IN_BROWSER

TOO_WIDE = """[...document.querySelectorAll("pre, table, .katex-display, .figure")]
  .filter(box => Math.max(box.scrollWidth, box.getBoundingClientRect().width) > innerWidth + 1)
  .map(box => `${box.closest("article")?.id} ${box.scrollWidth} ${box.textContent.trim().slice(0, 60)}`)"""


@dataclass
class Printed:
    """Holds the PDF of some pages, the text of each sheet, and what the page that was printed has."""

    site: Path
    pdf: bytes
    sheets: list[str]
    too_wide: list[str]
    code: list[str]
    numbers: list[str]


@pytest.fixture(scope="module")
def book(browser, site, tmp_path_factory):
    """Print every fourth page, and list what is wider than the paper; of all pages test_every_page.py lists it."""
    part = some_of(site, tmp_path_factory.mktemp("printed"))
    pdf = print_book(browser, part)
    with browser.new_page(viewport={"width": PAPER_WIDTH, "height": 900}) as page:
        page.emulate_media(media="print")
        page.goto((part.parent / "pdf" / "book.html").as_uri())
        code = page.locator("pre").all_text_contents()
        numbers = page.locator(".eqno").all_text_contents()
        return Printed(part, pdf, sheets_of(pdf), page.evaluate(TOO_WIDE), code, numbers)


def some_of(site: Path, folder: Path) -> Path:
    """Make a site whose navigation leaves three of four pages out; the whole would be hundreds of sheets."""
    part = folder / "html"
    part.mkdir()
    for path in site.iterdir():
        (part / path.name).symlink_to(path)
    first = BeautifulSoup((part / "index.html").read_text("utf-8"), "html.parser")
    for number, link in enumerate(first.select(".sidebar-tree > details a")):
        if number % 4 != 1:
            link.decompose()
    (part / "index.html").unlink()
    (part / "index.html").write_text(str(first), "utf-8")
    return part


def sheets_of(pdf: bytes) -> list[str]:
    """Return the text of each sheet, squeezed."""
    return [squeezed(sheet.get_textpage().get_text_range()) for sheet in PdfDocument(pdf)]


def squeezed(text: str) -> str:
    """Drop the spaces, and write the font's ligatures, such as fi, as letters."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def test_a_ligature_is_its_letters():
    assert squeezed("Pro\ufb01le your step") == "Profileyourstep"


def test_the_book_has_every_page_of_the_navigation(site):
    assert [chapter.address for chapter in chapters(site)] == [f"{name}.html" for name in read_course(ROOT).pages]


def test_every_chapter_is_there_and_the_contents_know_its_page(book):
    contents = "".join(book.sheets[1:4])
    titles = ["Contents", *(chapter.title for chapter in chapters(book.site))]
    begins = beginnings(book.pdf)
    assert len(titles) > 5
    assert [squeezed(title) for title, _ in begins] == list(map(squeezed, titles))
    for title, number in begins[1:]:
        assert squeezed(title) in book.sheets[number - 1]
        assert squeezed(f"{title}{number}") in contents


def test_nothing_is_wider_than_the_paper(book):
    assert book.too_wide == []


def test_code_is_complete_and_equations_are_numbered(book):
    text = "".join(book.sheets)
    lines = [line for block in book.code for line in map(squeezed, block.splitlines()) if len(line) > 60]
    assert len(lines) > 20
    assert [line for line in lines if line[-20:] not in text] == []
    assert len(book.numbers) > 10 and "(2.1)" in book.numbers
    assert [number for number in book.numbers if number not in text] == []
