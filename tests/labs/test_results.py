"""Test a folder of results, writable or not."""

import pytest

from flopbook.labs.results import Results


@pytest.fixture
def unwritable(tmp_path):
    (tmp_path / "file").write_text("")
    return tmp_path / "file" / "results"  # nobody can make a folder in a file, not even root


def test_a_file_is_kept(tmp_path):
    assert Results(tmp_path / "new" / "er").keep("a.txt", "text") == f"a.txt is in '{tmp_path}/new/er'."
    assert (tmp_path / "new" / "er" / "a.txt").read_text() == "text"


def test_a_folder_that_cannot_be_written_is_named(unwritable):
    said = Results(unwritable).keep("a.txt", "text")
    assert said == f"a.txt is not kept: Not a directory. Choose another folder than '{unwritable}'."


def test_the_history_grows(tmp_path):
    results = Results(tmp_path)
    assert [line["n"] for line in results.append({"n": 1})] == [1]
    assert [line["n"] for line in results.append({"n": 2})] == [1, 2]
    assert all(line["time"].endswith("+00:00") for line in results.append({"n": 3}))


def test_a_history_that_cannot_be_kept_still_has_the_new_record(unwritable):
    assert [line["n"] for line in Results(unwritable).append({"n": 1})] == [1]


def test_a_line_that_is_not_a_record_is_skipped(tmp_path):
    (tmp_path / "history.jsonl").write_text('{"n": 1}\nhalf a li\n3\n')
    assert [line["n"] for line in Results(tmp_path).append({"n": 2})] == [1, 2]


def test_one_broken_character_costs_no_record(tmp_path):
    (tmp_path / "history.jsonl").write_bytes(b'{"n": 1}\n{"n": 2, "machine": "\xff"}\n')
    assert [line["n"] for line in Results(tmp_path).append({"n": 3})] == [1, 2, 3]


def test_a_history_that_cannot_be_read_is_left_as_it_is(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError

    (tmp_path / "history.jsonl").write_text('{"n": 1}\n')
    with monkeypatch.context() as patched:
        patched.setattr("pathlib.Path.read_text", refuse)
        assert [line["n"] for line in Results(tmp_path).append({"n": 2})] == [2]
    assert (tmp_path / "history.jsonl").read_text() == '{"n": 1}\n'
