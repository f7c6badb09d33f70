"""Test that packages export the right names, late, and without a clash."""

from importlib import import_module
from pathlib import Path

import pytest

import flopbook
from flopbook.lazy import exports_of

PACKAGE = Path(flopbook.__file__).parent
EXPORTS = {
    ".".join(("flopbook", *path.parent.relative_to(PACKAGE).parts)): exports_of(path.read_text("utf-8"))
    for path in PACKAGE.rglob("__init__.py")
}


@pytest.mark.parametrize(
    ("package", "name", "module"),
    [(package, name, module) for package, names in EXPORTS.items() for name, module in names.items()],
)
def test_a_name_is_that_of_its_own_module(package, name, module):
    assert getattr(import_module(package), name) is getattr(import_module(module), name)
    assert name in dir(import_module(package))


def test_no_module_hides_a_name_that_its_package_exports():
    for package, names in EXPORTS.items():
        folder = PACKAGE.joinpath(*package.split(".")[1:])
        assert not names.keys() & {path.stem for path in folder.iterdir()}, package


def test_a_name_that_no_package_exports_is_an_error():
    with pytest.raises(AttributeError, match=r"module 'flopbook\.predict' has no attribute 'mfu'"):
        flopbook.predict.mfu  # noqa: B018
