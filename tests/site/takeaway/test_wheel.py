"""Test what pip installs: the package with its licence, and nothing else."""

from zipfile import ZipFile

import pytest

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
