"""Test that the API pages have every public module and every exported name."""

import re
from fnmatch import fnmatch
from pathlib import Path

import pytest

from flopbook.lazy import exports_of
from tests.conftest import ROOT

SOURCE = ROOT / "src" / "flopbook"
PAGES = sorted((ROOT / "reference" / "api").glob("*.md"))
PAGE = "\n".join(path.read_text("utf-8") for path in PAGES)
PACKAGES = sorted(
    path
    for found in ("*", "measure/distributed", "predict/parallel", "predict/post_training")
    for path in SOURCE.glob(f"{found}/__init__.py")
)
ON_THE_PAGE = set(re.findall(r"^\.\. automodule:: (\S+)", PAGE, re.MULTILINE))
#: What is used through its package, or by the book's own code alone.
INSIDE = [
    "*.__main__",
    "flopbook.checks",
    "flopbook.command.*",
    "flopbook.labs.accelerator*",
    "flopbook.labs.data",
    "flopbook.labs.training",
    "flopbook.lazy",
    "flopbook.measure.counting*",
    "flopbook.measure.operators.*",
    "flopbook.measure.report.*",
    "flopbook.measure.restore",
    "flopbook.predict.models.*",
    "flopbook.published.in_library*",
    "flopbook.published.on_paper*",
    "flopbook.specimens.*",
    "flopbook.teaching.calculators",
    "flopbook.teaching.calculators.html",
    "flopbook.teaching.calculators.javascript",
    "flopbook.teaching.forms",
    "flopbook.teaching.output",
    "flopbook.tracing.*",
]


def name_of(path: Path) -> str:
    return ".".join(["flopbook", *path.relative_to(SOURCE).with_suffix("").parts]).removesuffix(".__init__")


def test_every_public_module_is_on_a_page():
    modules = {name_of(path) for path in SOURCE.rglob("*.py")}
    packages = {"flopbook", *(name_of(path) for path in PACKAGES)}  # which export names of their modules
    lost = {module for module in modules - ON_THE_PAGE - packages if not any(fnmatch(module, own) for own in INSIDE)}
    assert lost == set()
    assert modules >= ON_THE_PAGE


def test_every_module_has_a_line_of_the_tables():
    assert set(re.findall(r"^\| \{py:mod\}`(\S+)` \| \S", PAGE, re.MULTILINE)) == ON_THE_PAGE


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.parent.name)
def test_every_name_that_a_package_exports_is_explained(site, package):
    built = (site / "reference" / "api" / f"{path.stem}.html" for path in PAGES)
    explained = "".join(path.read_text("utf-8") for path in built)
    names = exports_of(package.read_text("utf-8"))
    letters = {name for name, module in names.items() if module == "flopbook.predict.axes"} - {"axis"}
    assert {name for name in set(names) - letters if f'.{name}"' not in explained} == set()
