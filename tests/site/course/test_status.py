"""Test the build status: which versions of torch the tests passed with."""

import json

import pytest

from flopsite.course.status import RECORD, _tested
from tests.support.small_book import HEAD, SmallBook

ENVIRONMENT = {
    "kind": "oldest",
    "versions": {"python": "3.11.7", "torch": "2.11.0", "numpy": "2.4.6", "sympy": "1.14.0"},
    "passed": 1234,
    "skipped": 5,
    "failed": ["tests.a.test_one"],
    "lacks": ["aten::new", "aten::newer"],
}


def test_an_environment_is_one_row():
    assert _tested(ENVIRONMENT) == ["2.11.0 (oldest)", "3.11.7", "1,234", "5", "1", "aten::new, aten::newer"]


def test_one_that_lacks_nothing_says_so():
    assert _tested({**ENVIRONMENT, "lacks": []})[-1] == "none"


@pytest.fixture
def book(tmp_path):
    """Make a book without a cell."""
    book = SmallBook(tmp_path)
    for name in ("direct", "indirect", "unrelated"):
        book.write(f"lectures/{name}.md", f"{HEAD}# {name.capitalize()}\n")
    return book


def test_a_new_record_is_shown_by_the_next_build(book):
    book.append("index.md", "\n```{build-status}\n```\n")
    for torch in ("2.11.0", "2.99.1"):
        versions = {**ENVIRONMENT["versions"], "torch": torch}
        book.write(RECORD, json.dumps([{**ENVIRONMENT, "versions": versions}]))
        build = book.build()
        assert build.code == 0, build.text
        assert f"{torch} (oldest)" in (book.folder / "_build" / "html" / "index.html").read_text()
