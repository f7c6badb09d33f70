"""Build a small book once, for all tests that change it and build it again."""

import shutil
from collections.abc import Iterator

import pytest

from tests.support.small_book import ALL, SmallBook


@pytest.fixture(scope="session")
def built(tmp_path_factory) -> SmallBook:
    """Build the small book for the first time."""
    book = SmallBook(tmp_path_factory.mktemp("built"))
    first = book.build()
    assert first.code == 0, first.text
    assert first.executed == ALL
    return book


@pytest.fixture
def book(built, tmp_path) -> Iterator[SmallBook]:
    """Give the small book as first built, and restore it afterwards."""
    backup = tmp_path / "backup"
    shutil.copytree(built.folder, backup, symlinks=True)
    yield built
    shutil.rmtree(built.folder)
    backup.rename(built.folder)
