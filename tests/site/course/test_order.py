"""Test that Sphinx follows `course.yml`, also after a line moves."""

import re

import pytest
from bs4 import BeautifulSoup

from tests.support.small_book import HEAD, SmallBook


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build three lectures without a cell, in the order of their names."""
    book = SmallBook(tmp_path_factory.mktemp("built"))
    for name in ("direct", "indirect", "unrelated"):
        book.write(
            f"lectures/{name}.md",
            f"{HEAD}# {name.capitalize()}\n\n## A section\n\n```{{math}}\n:label: {name}\na\n```\n",
        )
    first = book.build()
    assert first.code == 0, first.text
    return book


def shown(book, name) -> BeautifulSoup:
    return BeautifulSoup((book.folder / "_build" / "html" / f"lectures/{name}.html").read_text(), "html.parser")


def numbers(book, name) -> tuple[str, str, str]:
    """Read the numbers in the title, the first equation and the sidebar of a page."""
    page = shown(book, name)
    title, equation = page.select_one("h1 .section-number"), page.select_one(".eqno")
    return (
        title.get_text().strip(),
        re.sub(r"[^\d.]", "", equation.get_text()),
        page.select_one(".current-page .number").get_text(),
    )


def test_numbers_follow_the_lines_when_they_move(book):
    assert numbers(book, "indirect") == ("2", "2.1", "2")
    first, second, *rest = [
        line for line in (book.folder / "course.yml").read_text().splitlines() if "lecture:" in line
    ]
    book.write("course.yml", "\n".join(["parts:", "- title: All", "  pages:", second, first, *rest, ""]))
    build = book.build()
    assert build.code == 0, build.text
    assert numbers(book, "indirect") == ("1", "1.1", "1")
    assert numbers(book, "direct") == ("2", "2.1", "2")
    assert [link["href"] for link in shown(book, "unrelated").select(".sidebar-tree > details > ul > li > a")] == [
        "indirect.html",
        "direct.html",
        "#",
    ]
    assert shown(book, "unrelated").select_one("a.prev-page")["href"] == "direct.html"


def test_the_sidebar_has_the_sections_of_its_page(book):
    assert [link["href"] for link in shown(book, "direct").select(".sidebar-tree li li a")] == ["#a-section"]


@pytest.mark.parametrize(
    "old, new, complaint",
    [
        ("title: Indirect", "title: Not direct", "the title is 'Indirect' here and 'Not direct' in course.yml"),
        ("minutes: 1,", "minutes: 9,", "it takes 1 minutes to read, and course.yml says 9: write minutes: 1"),
        ("lecture: indirect", "lecture: indrect", "The site was not built. course.yml: lectures/indrect has no file"),
    ],
)
def test_a_line_that_is_not_true_fails_the_build(book, old, new, complaint):
    course = (book.folder / "course.yml").read_text()
    book.write("course.yml", course.replace(old, new, 1))
    build = book.build()
    assert build.code != 0
    assert complaint in build.text
