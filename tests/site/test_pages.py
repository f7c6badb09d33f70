"""Test what pages tell readers and other sites: letters, places, equations, sources."""

import re
from urllib.parse import urldefrag

from flopbook.predict.axes import MEANING
from flopsite.course.outline import read_course
from tests.conftest import ROOT
from tests.support.html import anchors, read, read_frame, tags

LETTERS = re.compile(r'<details class="letters\b.*?</details>', re.DOTALL)
NUMBERED = re.compile(r'<span class="eqno">\(([\d.]+)\)<a class="headerlink" [^>]*href="#equation-')
MARKED = re.compile(r'class="(?:[^"]* )?letter(?: [^"]*)?"[^>]*>([^<]*)')


def test_a_page_explains_each_letter_that_it_marks(site, pages):
    for name in pages:
        html = (site / name).read_text("utf-8")
        listed = {term for letters in LETTERS.findall(html) for term in re.findall(r"<dt>(.*?)</dt>", letters)}
        assert listed == set(MARKED.findall(html)), name


def test_a_page_has_its_own_meanings(site):
    seconds = read(site / "lectures" / "seconds.html").select_one("details.letters").get_text()
    assert "the work, in FLOPs" in seconds
    assert MEANING["F"] not in seconds


def test_a_page_of_the_course_says_which_meaning_a_letter_with_two_has(site):
    for docname in [name for part in read_course(ROOT).parts for name in part.docnames]:
        letters = "".join(LETTERS.findall((site / f"{docname}.html").read_text("utf-8")))
        assert MEANING["C"] not in letters and MEANING["H"] not in letters, docname


def test_each_lecture_says_where_it_stands_and_what_it_needs(site):
    course = read_course(ROOT)
    for lecture in course.lectures:
        page = read_frame(site / f"{lecture.docname}.html")
        line = page.select_one(".page-line").get_text(" ", strip=True)
        assert line.startswith(f"Lecture {lecture.number} of {len(course.lectures)} {lecture.minutes} min to read")
        assert page.select_one("h1 .section-number").get_text().strip() == str(lecture.number)


def test_each_need_unfolds_to_a_box_of_the_lecture_that_it_names(site):
    course = read_course(ROOT)
    for page in course.pages.values():
        chips = read_frame(site / f"{page.docname}.html").select(".needs details")
        assert [chip.summary.get_text() for chip in chips] == [
            f"{course.pages[need].number} {course.pages[need].short}" for need in page.needs
        ]
        for need, chip in zip(page.needs, chips, strict=True):
            lecture, box = urldefrag(chip.select_one("a")["href"])
            assert lecture.endswith(f"{need.split('/')[1]}.html")
            assert box in anchors(site / f"{need}.html")
            assert chip.select_one(".katex")


def test_what_comes_next_has_its_question(site):
    course = read_course(ROOT)
    for page in course.pages.values():
        _, after = course.neighbours(page.docname)
        if after and after.question:
            assert after.question in read_frame(site / f"{page.docname}.html").select_one(".next-page").get_text()


def test_each_page_knows_its_place_on_the_paths(site):
    for path in read_course(ROOT).paths:
        for place, docname in enumerate(path.docnames, 1):
            step = read_frame(site / f"{docname}.html").select_one(f".step[data-path={path.name}]")
            assert f"{path.title}'s path, {place} of {len(path.docnames)}: {path.depth}" in step.get_text()
            assert step.get("data-next", "").endswith(
                f"{path.after(docname).split('/')[-1]}.html" if path.after(docname) else ""
            )


def test_a_lecture_takes_at_most_25_minutes():
    minutes = {lecture.docname: lecture.minutes for lecture in read_course(ROOT).lectures}
    assert {name: taken for name, taken in minutes.items() if taken > 25} == {}


def test_numbered_equations_can_be_linked_to_and_are_numbered_by_lecture(site):
    for lecture in read_course(ROOT).lectures:
        html = (site / f"{lecture.docname}.html").read_text("utf-8")
        numbers = NUMBERED.findall(html)
        assert numbers == [f"{lecture.number}.{place}" for place in range(1, html.count('class="eqno"') + 1)]
        assert numbers


def test_other_sites_can_read_what_the_site_holds(site):
    listed = (site / "llms.txt").read_text("utf-8")
    whole = (site / "llms-full.txt").read_text("utf-8")
    sources = [path for folder in ("lectures", "notebooks", "reference") for path in (ROOT / folder).glob("*.md")]
    for path in [ROOT / "index.md", *sources]:
        source = f"_sources/{path.relative_to(ROOT)}"
        assert f"]({source})" in listed
        assert (site / source).read_bytes() == path.read_bytes()
        assert path.read_text("utf-8") in whole
        page = tags(site / path.relative_to(ROOT).with_suffix(".html"))
        said = [tag.attributes for tag in page if tag.name == "meta"]
        assert [len(meta["content"]) > 20 for meta in said if meta.get("name") == "description"] == [True]
        assert [bool(meta["content"]) for meta in said if meta.get("property") == "og:title"] == [True]


def test_search_finds_every_box_and_exercise(site):
    index = (site / "search-index.js").read_text("utf-8")
    for lecture in read_course(ROOT).lectures:
        page = tags(site / f"{lecture.docname}.html")
        places = [tag.attributes["id"] for tag in page if tag.has_class("formula-box", "exercise")]
        assert places
        for place in places:
            assert f'"address":"{lecture.docname}.html#{place}"' in index


def test_lecturers_have_a_link_to_each_picture(site):
    links = [link["href"] for link in read(site / "reference" / "teaching.html").select("#pictures-for-slides li a")]
    assert len(links) == len(set(links))
    for page in read_course(ROOT).pages.values():
        pictures = [
            tag for tag in tags(site / f"{page.docname}.html") if tag.name == "figure" and tag.has_class("picture")
        ]
        for picture in pictures:
            assert any(
                link.endswith(f"{page.docname.split('/')[-1]}.html#{picture.attributes['id']}") for link in links
            )
