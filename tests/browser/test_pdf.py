"""Test the printed book: every lecture, its code, numbered equations, working links."""

import io
import re
import unicodedata

import pytest
from pypdf import PdfReader

from flopsite.takeaway.pdf import page_numbers, print_book
from flopsite.takeaway.print_html import chapters
from tests.support.browser import IN_BROWSER, PAPER_WIDTH

pytestmark = IN_BROWSER

TOO_WIDE = """[...document.querySelectorAll("pre, table, .katex-display, .figure")]
  .filter(box => Math.max(box.scrollWidth, box.getBoundingClientRect().width) > innerWidth + 1)
  .map(box => `${box.closest("article")?.id} ${box.scrollWidth} ${box.textContent.trim().slice(0, 60)}`)"""


@pytest.fixture(scope="module")
def book(browser, site):
    """Print the PDF, and list what is wider than the paper."""
    pdf = print_book(browser, site)
    with browser.new_page(viewport={"width": PAPER_WIDTH, "height": 900}) as page:
        page.emulate_media(media="print")
        page.goto((site.parent / "pdf" / "book.html").as_uri())
        code = page.locator("pre").all_text_contents()
        numbers = page.locator(".eqno").all_text_contents()
        return pdf, page.evaluate(TOO_WIDE), code, numbers


def squeezed(text: str) -> str:
    """Drop the spaces, and write the font's ligatures, such as fi, as letters."""
    return re.sub(r"\s", "", unicodedata.normalize("NFKC", text))


def test_a_ligature_is_its_letters():
    assert squeezed("Pro\ufb01le your step") == "Profileyourstep"


def test_every_chapter_is_there_and_the_contents_know_its_page(book, site):
    reader = PdfReader(io.BytesIO(book[0]))
    numbers = page_numbers(book[0])
    contents = squeezed("".join(page.extract_text() for page in reader.pages[1:4]))
    titles = [chapter.title for chapter in chapters(site)]
    assert len(titles) > 15
    for chapter in chapters(site):
        number = numbers[chapter.anchor]
        assert squeezed(chapter.title) in squeezed(reader.pages[number - 1].extract_text())
        assert squeezed(f"{chapter.title}{number}") in contents
    outline = [squeezed(entry.title) for entry in reader.outline if not isinstance(entry, list)]
    assert outline == list(map(squeezed, ["Contents", *titles]))


def test_nothing_is_wider_than_the_paper(book):
    assert book[1] == []


def test_code_is_complete_and_equations_are_numbered(book):
    text = squeezed("".join(page.extract_text() for page in PdfReader(io.BytesIO(book[0])).pages))
    lines = [line for block in book[2] for line in map(squeezed, block.splitlines()) if len(line) > 60]
    assert len(lines) > 100
    assert [line for line in lines if line[-20:] not in text] == []
    assert len(book[3]) > 10 and "(2.1)" in book[3]
    assert [number for number in book[3] if number not in text] == []
