"""Print the built site as one book, for `make pdf`."""

import subprocess
import sys
from functools import partial
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright
from pypdfium2 import PdfDocument

from flopsite.takeaway.chromium import ARGUMENTS, MISSING, find_chromium
from flopsite.takeaway.downloads import PDF
from flopsite.takeaway.print_html import chapters, on_paper

SITE = Path("_build/html")
NUMBER = """pages => {
  for (const place of document.querySelectorAll("[data-page-of]")) place.textContent = pages[place.dataset.pageOf];
}"""
TITLE = "The FLOP Book"
SUBTITLE = "Every FLOP of a training step, derived, counted and timed"


def main() -> int:
    """Write the PDF into the site, and let the site offer it."""
    if not (path := find_chromium()):
        print(f"The PDF was not made: {MISSING}.", file=sys.stderr)
        return 2
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        (SITE / PDF).write_bytes(print_book(browser, SITE))
        browser.close()
    return subprocess.call([sys.executable, "-m", "flopsite"])


def print_book(browser: Browser, site: Path) -> bytes:
    """Print a built site twice, first for the page numbers of its contents."""
    source = site.parent / "pdf" / "book.html"
    source.parent.mkdir(exist_ok=True)
    source.write_text(on_paper(site, TITLE, SUBTITLE), "utf-8")
    with browser.new_page() as page:
        page.goto(source.resolve().as_uri(), wait_until="networkidle")
        page.evaluate("document.fonts.ready")
        printed = partial(page.pdf, prefer_css_page_size=True, print_background=True, outline=True, tagged=True)
        numbers = (number for _, number in beginnings(printed())[1:])  # after the contents
        page.evaluate(NUMBER, {chapter.anchor: number for chapter, number in zip(chapters(site), numbers, strict=True)})
        return printed()


def beginnings(pdf: bytes) -> list[tuple[str, int]]:
    """Return the title of each chapter, and the page on which it begins, from 1 on."""
    entries = (entry for entry in PdfDocument(pdf).get_toc() if entry.level == 0)
    return [(entry.get_title(), entry.get_dest().get_index() + 1) for entry in entries]


if __name__ == "__main__":
    sys.exit(main())
