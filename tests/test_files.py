"""Test that files are written whole or not at all."""

import pytest

from flopbook.files import write_whole


def test_the_file_holds_the_text(tmp_path):
    path = write_whole(tmp_path / "count.json", "2·B·D·K\n")
    assert path.read_text(encoding="utf-8") == "2·B·D·K\n"
    assert list(tmp_path.iterdir()) == [path]


def test_an_earlier_file_is_replaced(tmp_path):
    path = tmp_path / "count.json"
    path.write_text("a longer text of before")
    write_whole(path, "new")
    assert path.read_text() == "new"


def test_what_cannot_be_written_leaves_the_earlier_file(tmp_path):
    path = tmp_path / "count.json"
    path.write_text("before")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "half \ud800 of it")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_is_named(tmp_path):
    folder = tmp_path / "results"
    with pytest.raises(FileNotFoundError) as error:
        write_whole(folder / "count.json", "")
    assert str(error.value) == f"{str(folder / 'count.json')!r}: there is no folder {str(folder)!r}; make it first"


def test_a_folder_is_not_a_file(tmp_path):
    with pytest.raises(IsADirectoryError) as error:
        write_whole(tmp_path, "")
    assert str(error.value) == f"{str(tmp_path)!r} is a folder: name a file in it"
