"""What pages tell a reader, and what the site tells others: letters, places, equations, sources."""

import re

from bs4 import BeautifulSoup

from flopbook.predict.axes import MEANING
from tests.conftest import ROOT


def read(path) -> BeautifulSoup:
    return BeautifulSoup(path.read_text("utf-8"), "html.parser")


def test_a_page_explains_each_letter_that_it_marks(site, pages):
    for name in pages:
        page = read(site / name)
        listed = {entry.get_text() for entry in page.select("details.letters dt")}
        assert listed == {letter.get_text() for letter in page.select(".letter")}, name


def test_a_page_has_its_own_meanings(site):
    seconds = read(site / "lectures" / "seconds.html").select_one("details.letters").get_text()
    assert "the work, in FLOPs" in seconds
    assert MEANING["F"] not in seconds


def test_each_page_says_where_it_stands(site):
    course = sorted((ROOT / "lectures").glob("*.md"))
    for number, path in enumerate(course, 1):
        line = read(site / "lectures" / f"{path.stem}.html").select_one(".page-line").get_text(" ", strip=True)
        assert line.startswith(f"Lecture {number} of {len(course)} ")
        assert 5 <= int(re.search(r"(\d+) min to read", line)[1]) <= 90


def test_numbered_equations_can_be_linked_to_and_are_numbered_through_the_book(site):
    numbers = []
    for path in sorted((site / "lectures").glob("*.html")):
        for equation in read(path).select(".eqno"):
            numbers.append(int(re.match(r"\((\d+)\)", equation.get_text())[1]))
            assert equation.select_one("a.headerlink[href^='#equation-']")
    assert numbers == list(range(1, len(numbers) + 1))
    assert len(numbers) > 9


def test_others_are_told_what_the_site_holds(site):
    listed = (site / "llms.txt").read_text("utf-8")
    whole = (site / "llms-full.txt").read_text("utf-8")
    sources = [path for folder in ("lectures", "notebooks", "reference") for path in (ROOT / folder).glob("*.md")]
    for path in [ROOT / "index.md", *sources]:
        source = f"_sources/{path.relative_to(ROOT)}"
        assert f"]({source})" in listed
        assert (site / source).read_bytes() == path.read_bytes()
        assert path.read_text("utf-8") in whole
        page = read(site / path.relative_to(ROOT).with_suffix(".html"))
        assert len(page.select_one('meta[name="description"]')["content"]) > 20
        assert page.select_one('meta[property="og:title"]')["content"]
