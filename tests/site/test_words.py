"""Test that a word of the glossary is explained where the course first uses it."""

import re
from functools import cache

import pytest

from flopsite.course.outline import read_course
from tests.conftest import ROOT

#: What is not prose: the front matter, code, formulas, comments, headings, and what a lecture promises.
_NOT_PROSE = re.compile(
    r"\A---\n.*?\n---\n|^(`{3,}).*?^\1$|`[^`\n]+`|\$\$.*?\$\$|\$[^$\n]+\$|<!--.*?-->|^#[^\n]*|^You will \w+\n:[^\n]*",
    re.DOTALL | re.MULTILINE,
)
_ENTRY = re.compile(r"^(?P<word>\w[^\n]*)\n: (?P<definition>.*?)(?=\n\n)", re.DOTALL | re.MULTILINE)
_LECTURE = re.compile(r"See \[\]\(\.\./(?P<docname>lectures/[\w-]+)\.md\)")

COURSE = read_course(ROOT)

ENTRIES = list(_ENTRY.finditer((ROOT / "reference/notation.md").read_text()))
#: The lecture of each word whose definition names one.
GLOSSARY = {entry["word"]: lecture["docname"] for entry in ENTRIES if (lecture := _LECTURE.search(entry["definition"]))}


@cache
def prose(docname: str) -> str:
    """Return what a page says, without what is not prose."""
    return _NOT_PROSE.sub(" ", (ROOT / f"{docname}.md").read_text())


def explained(word: str) -> re.Pattern[str]:
    """Match a word in emphasis, as a page sets it where it explains it, or in a link."""
    return re.compile(rf"\*[^*\n]*\b{word}(s|es)?\b[^*\n]*\*|\[[^\]\n]*\b{word}(s|es)?\b[^\]\n]*\]\(", re.IGNORECASE)


def test_the_glossary_has_each_word_once():
    words = [entry["word"] for entry in ENTRIES]
    assert len(set(words)) == len(words) > len(GLOSSARY) > 0


@pytest.mark.parametrize(("word", "lecture"), GLOSSARY.items())
def test_the_lecture_that_the_glossary_names_explains_the_word(word, lecture):
    assert explained(word).search(prose(lecture)), f"{lecture} does not set {word!r} in emphasis"


@pytest.mark.parametrize("word", GLOSSARY)
def test_a_word_is_explained_where_the_course_first_uses_it(word):
    use = re.compile(rf"\b{word}(s|es)?\b", re.IGNORECASE)
    pages = ((lecture.docname, prose(lecture.docname)) for lecture in COURSE.lectures)
    docname, text = next((docname, text) for docname, text in pages if use.search(text))
    first, explanation = use.search(text), explained(word).search(text)
    around = text[max(0, first.start() - 80) : first.end() + 80]
    assert explanation and explanation.start() <= first.start(), f"{docname} uses {word!r} unexplained: {around!r}"
