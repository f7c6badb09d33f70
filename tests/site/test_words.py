"""Test that a word of the glossary is explained where the course first uses it."""

import re

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


#: The lecture of each word whose definition names one.
GLOSSARY = {
    entry["word"]: lecture["docname"]
    for entry in _ENTRY.finditer((ROOT / "reference/notation.md").read_text())
    if (lecture := _LECTURE.search(entry["definition"]))
}


def prose(docname: str) -> str:
    return _NOT_PROSE.sub(" ", (ROOT / f"{docname}.md").read_text())


def explained(word: str) -> re.Pattern[str]:
    """Match a word in emphasis, as a page sets it where it explains it, or in a link."""
    return re.compile(rf"\*[^*\n]*\b{word}(s|es)?\b[^*\n]*\*|\[[^\]\n]*\b{word}(s|es)?\b[^\]\n]*\]\(", re.IGNORECASE)


@pytest.mark.parametrize(("word", "lecture"), GLOSSARY.items())
def test_the_lecture_that_the_glossary_names_explains_the_word(word, lecture):
    assert explained(word).search(prose(lecture))


@pytest.mark.parametrize("word", GLOSSARY)
def test_a_word_is_explained_where_the_course_first_uses_it(word):
    use = re.compile(rf"\b{word}(s|es)?\b", re.IGNORECASE)
    pages = ((page.docname, prose(page.docname)) for page in read_course(ROOT).lectures)
    docname, text = next((docname, text) for docname, text in pages if use.search(text))
    first, explanation = use.search(text), explained(word).search(text)
    around = text[max(0, first.start() - 80) : first.end() + 80]
    assert explanation and explanation.start() <= first.start(), f"{docname} uses {word!r} unexplained: {around!r}"
