"""Test that `course.yml` is read as written, and every fault in it is named."""

import pytest

from flopsite.course.outline import CourseError, read_course
from tests.conftest import ROOT

GOOD = """
parts:
- title: One
  pages:
  - {lecture: first, title: "The first, and a long title", short: First,
     question: "Which?", minutes: 10, needs: [], keywords: [LoRA]}
  - {lab: measure, title: Measure, needs: [first]}
- title: Two
  pages:
  - {lecture: second, title: Second, question: "Why?", minutes: 20, needs: [first]}
reference:
- title: Look up
  pages:
  - {page: words, title: Words}
paths:
- {path: hasty, title: Hasty, reader: You are, depth: Little, pages: [first, second, words]}
absent: [FSDP]
"""
FILES = ["lectures/first.md", "lectures/second.md", "notebooks/measure.md", "reference/words.md"]


@pytest.fixture
def root(tmp_path):
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "course.yml").write_text(GOOD)
    return tmp_path


def test_lectures_are_numbered_through_the_book_and_parts_have_roman_numbers(root):
    course = read_course(root)
    assert [part.heading for part in course.parts] == ["I One", "II Two"]
    assert [part.heading for part in course.reference] == ["Look up"]
    assert [(page.docname, page.number) for page in course.pages.values()] == [
        ("lectures/first", 1),
        ("notebooks/measure", None),
        ("lectures/second", 2),
        ("reference/words", None),
    ]
    assert course.pages["lectures/second"].needs == ("lectures/first",)
    assert course.pages["lectures/first"].keywords == ("LoRA",)
    assert course.pages["lectures/first"].short == "First"
    assert course.pages["lectures/first"].question == "Which?"
    assert course.absent == ("FSDP",)


def test_a_path_leads_from_page_to_page(root):
    (path,) = read_course(root).paths
    assert path.docnames == ("lectures/first", "lectures/second", "reference/words")
    assert path.after("lectures/second") == "reference/words"
    assert path.after("reference/words") is None
    assert path.after("notebooks/measure") is None


def test_neighbours_follow_the_lines(root):
    course = read_course(root)
    before, after = course.neighbours("notebooks/measure")
    assert (before.docname, after.docname) == ("lectures/first", "lectures/second")
    assert course.neighbours("reference/words")[1] is None
    assert course.neighbours("index") == (None, None)


def test_one_line_puts_a_lecture_between_two_others(root):
    (root / "lectures" / "between.md").touch()
    line = "  - {lecture: between, title: Between, question: 'What?', minutes: 5, needs: [first]}\n"
    (root / "course.yml").write_text(GOOD.replace("- title: Two\n  pages:\n", f"- title: Two\n  pages:\n{line}"))
    numbers = {page.docname: page.number for page in read_course(root).lectures}
    assert numbers == {"lectures/first": 1, "lectures/between": 2, "lectures/second": 3}


FAULTS = {
    "a page without a file": (
        "lecture: second",
        "lecture: secnd",
        "lectures/secnd has no file: write lectures/secnd.md, or take its line out",
    ),
    "a file without a page": ("  - {page: words, title: Words}\n", "", "reference/words is in no part"),
    "a page that stands twice": ("lecture: second", "lecture: first", "lectures/first stands in it twice"),
    "a need that is unknown": (
        "needs: [first]}\nref",
        "needs: [frist]}\nref",
        "needs lectures/frist, which is not a lecture",
    ),
    "a need that comes later": (
        "minutes: 10, needs: []",
        "minutes: 10, needs: [second]",
        "lectures/first needs lectures/second, which comes later",
    ),
    "a page that needs itself": (
        "minutes: 20, needs: [first]",
        "minutes: 20, needs: [second]",
        "lectures/second, lectures/second",
    ),
    "a circle": ("minutes: 10, needs: []", "minutes: 10, needs: [second]", "in a circle: .*lectures/first"),
    "a title that is missing": ("title: Second, ", "", "lectures/second has no title"),
    "a question that is missing": ('question: "Why?", ', "", "lectures/second has no question"),
    "a word that is unknown": (
        "minutes: 20",
        "minuets: 20, minutes: 20",
        "lectures/second has minuets, which a lecture does not have",
    ),
    "a short title that is long": (
        ", short: First",
        "",
        "at most 24 letters: 'The first, and a long title' is too long",
    ),
    "a kind that is unknown": (
        "lecture: second",
        "lesson: second",
        "a page begins with one of lecture, lab, page, record, not",
    ),
    "a part without pages": ("- title: Two\n", "- name: Two\n", "a part has a title and pages, not"),
    "a text that is not YAML": ("title: Second", "title: What? is: it", "this is not YAML"),
    "another key": ("reference:", "appendix:", "it holds parts, and may hold a reference, paths and absent words"),
    "a path without a depth": (
        "depth: Little, ",
        "",
        "a path has depth, pages, path, reader, title, not {'path': 'hasty'",
    ),
    "a path to nowhere": ("words]", "word]", "the path hasty has word, which is not a page of the book"),
    "a path that turns back": ("second, words]", "second, first]", "the path hasty has first twice"),
    "a path against the needs": (
        "[first, second, words]",
        "[second, first]",
        "the path hasty has lectures/second before lectures/first, which it needs",
    ),
    "a word both absent and covered": ("[FSDP]", "[lora]", "LoRA is absent, and a keyword of lectures/first"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_named(root, fault):
    old, new, complaint = FAULTS[fault]
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    if fault == "a need that comes later":
        text = text.replace("minutes: 20, needs: [first]", "minutes: 20, needs: []")
    (root / "course.yml").write_text(text)
    with pytest.raises(CourseError, match=complaint):
        read_course(root)


def test_a_page_that_shows_a_record_waits_for_the_record(root):
    (root / "course.yml").write_text(GOOD.replace("paths:", "  - {record: seen, title: What was seen}\npaths:"))
    for name in ("reference/records/seen.md", "reference/data/seen.json"):
        (root / name).parent.mkdir()
    (root / "reference/records/seen.md").touch()
    assert "reference/records/seen" not in read_course(root).pages
    (root / "reference/data/seen.json").touch()
    assert read_course(root).pages["reference/records/seen"].title == "What was seen"


def test_a_course_that_is_not_there_is_named(root):
    (root / "course.yml").unlink()
    with pytest.raises(CourseError, match="the file is missing"):
        read_course(root)


def test_the_book_has_every_page_and_no_lecture_needs_a_later_one():
    course = read_course(ROOT)
    assert len(course.lectures) == len(list((ROOT / "lectures").glob("*.md")))
    for page in course.pages.values():
        assert all(course.pages[need].number < page.number for need in page.needs if page.number)
