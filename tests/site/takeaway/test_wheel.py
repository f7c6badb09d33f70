"""What pip installs: the package with its licence, and nothing that would act on other books."""

import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from flopsite.takeaway import wheel
from tests.conftest import ROOT

BUILD = "from setuptools.build_meta import build_wheel; build_wheel('..')"


def contents(path: Path) -> set[str]:
    with ZipFile(path) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> set[str]:
    """What is in the wheel that pip makes of a checkout."""
    checkout = tmp_path_factory.mktemp("wheel") / "checkout"
    shutil.copytree(ROOT / "src", checkout / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, checkout)
    subprocess.run([sys.executable, "-c", BUILD], cwd=checkout, check=True, capture_output=True)
    (made,) = checkout.parent.glob("*.whl")
    return contents(made)


def test_the_package_comes_alone(built):
    folders = {name.partition("/")[0] for name in built}
    assert {name for name in folders if not name.endswith(".dist-info")} == {"flopbook"}
    assert [name for name in built if name.endswith("/entry_points.txt")] == []


def test_the_site_offers_the_same(built, tmp_path):
    wheel.write_wheel(ROOT / "src", tmp_path / wheel.name())
    assert contents(tmp_path / wheel.name()) == {file for file in built if not file.endswith("/top_level.txt")}
    assert "flopbook/py.typed" in built
    assert any(file.endswith(".dist-info/licenses/LICENSE") for file in built)
