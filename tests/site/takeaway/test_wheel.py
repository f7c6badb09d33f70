"""Test what pip installs: the package with its licence, and nothing else."""

import os
from types import SimpleNamespace
from zipfile import ZipFile

import pytest

from flopsite.takeaway import wheel
from flopsite.takeaway.wheel import name, write_wheel
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the wheel of this checkout."""
    target = tmp_path_factory.mktemp("wheel") / name()
    write_wheel(ROOT, target)
    return target


@pytest.fixture(scope="module")
def contents(built) -> set[str]:
    with ZipFile(built) as archive:
        return set(archive.namelist())


def test_the_package_comes_alone(contents):
    folders = {file.partition("/")[0] for file in contents}
    assert {folder for folder in folders if not folder.endswith(".dist-info")} == {"flopbook"}


def test_its_only_command_is_flopbook(built):
    with ZipFile(built) as archive:
        (points,) = (archive.read(file).decode() for file in archive.namelist() if file.endswith("/entry_points.txt"))
    assert points.split() == ["[console_scripts]", "flopbook", "=", "flopbook.command:main"]


def test_it_is_complete(contents):
    package = ROOT / "src" / "flopbook"
    files = {path.relative_to(ROOT / "src").as_posix() for path in (*package.rglob("*.py"), *package.rglob("*.json"))}
    assert files <= contents
    assert "flopbook/py.typed" in contents
    assert any(file.endswith(".dist-info/licenses/LICENSE") for file in contents)


def test_the_same_files_make_the_same_bytes(built, tmp_path):
    write_wheel(ROOT, tmp_path / name())
    assert (tmp_path / name()).read_bytes() == built.read_bytes()


@pytest.mark.parametrize("changed", ["pyproject.toml", "src/flopbook/module.py", "src/flopbook/data/sizes.json"])
def test_a_build_makes_it_anew_where_any_file_changed(tmp_path, monkeypatch, changed):
    files = ["pyproject.toml", "README.md", "LICENSE", "src/flopbook/module.py", "src/flopbook/data/sizes.json"]
    for file in files:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    for path in tmp_path.rglob("*"):
        os.utime(path, (1, 1))
    built = []
    monkeypatch.setattr(wheel, "write_wheel", lambda root, target: built.append(target))
    app = SimpleNamespace(srcdir=tmp_path, outdir=tmp_path / "out")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name()).touch()
    os.utime(tmp_path / "out" / name(), (2, 2))
    wheel._offer(app, None)
    assert not built
    os.utime(tmp_path / changed, (3, 3))
    wheel._offer(app, None)
    assert built == [tmp_path / "out" / name()]
