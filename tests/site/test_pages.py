"""Test what pages tell readers and other sites: letters, places, equations, sources."""

import re

from flopbook.predict.axes import MEANING
from flopsite.course.outline import read_course
from tests.conftest import ROOT
from tests.support.html import read


def test_a_page_explains_each_letter_that_it_marks(site, pages):
    for name in pages:
        page = read(site / name)
        listed = {entry.get_text() for entry in page.select("details.letters dt")}
        assert listed == {letter.get_text() for letter in page.select(".letter")}, name


def test_a_page_has_its_own_meanings(site):
    seconds = read(site / "lectures" / "seconds.html").select_one("details.letters").get_text()
    assert "the work, in FLOPs" in seconds
    assert MEANING["F"] not in seconds


def test_each_lecture_says_where_it_stands_and_what_it_needs(site):
    course = read_course(ROOT)
    for lecture in course.lectures:
        page = read(site / f"{lecture.docname}.html")
        line = page.select_one(".page-line").get_text(" ", strip=True)
        assert line.startswith(f"Lecture {lecture.number} of {len(course.lectures)} {lecture.minutes} min to read")
        assert page.select_one("h1 .section-number").get_text().strip() == str(lecture.number)
        for need in lecture.needs:
            assert course.pages[need].heading in line


def test_numbered_equations_can_be_linked_to_and_are_numbered_by_lecture(site):
    for lecture in read_course(ROOT).lectures:
        equations = read(site / f"{lecture.docname}.html").select(".eqno")
        numbers = [re.match(r"\(([\d.]+)\)", equation.get_text())[1] for equation in equations]
        assert numbers == [f"{lecture.number}.{place}" for place, _ in enumerate(equations, 1)]
        assert numbers
        assert all(equation.select_one("a.headerlink[href^='#equation-']") for equation in equations)


def test_other_sites_can_read_what_the_site_holds(site):
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
