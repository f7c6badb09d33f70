"""Test when a file is made again."""

import os

from flopsite.age import is_current


def test_a_file_is_made_again_when_something_that_it_is_made_of_is_newer(tmp_path):
    made, folder = tmp_path / "made", tmp_path / "sources"
    source, cache = folder / "inner" / "source.py", folder / "__pycache__"
    for each in (source.parent, cache):
        each.mkdir(parents=True)
    source.touch()
    assert not is_current(made, [folder])
    made.touch()
    for old in (source, source.parent, folder):
        os.utime(old, (1, 1))
    assert is_current(made, [folder])
    assert is_current(made, [source])
    (cache / "source.pyc").touch()
    os.utime(folder, (1, 1))
    os.utime(made, (2, 2))
    assert is_current(made, [folder])
    os.utime(source, (3, 3))
    assert not is_current(made, [folder])
    os.utime(source, (1, 1))
    os.utime(source.parent, (3, 3))  # a file beside it has gone
    assert not is_current(made, [folder])
