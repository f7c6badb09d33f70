"""Test the import rules: predict without torch, measure without SymPy, no higher folder.

Agreement between a formula and a count means something only because neither side knows of the other.
"""

import ast
import os
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

import flopbook
from flopbook.lazy import is_for_type_checkers

PACKAGE = Path(flopbook.__file__).parent


class Folder(NamedTuple):
    """Names the libraries that a folder must not import, and the folders that it may."""

    never: frozenset[str]
    ours: frozenset[str]


def _folder(never: str, ours: str) -> Folder:
    return Folder(frozenset(never.split()), frozenset(ours.split()))


#: A module that is named here stands for itself, a folder for all that it holds but what is named.
RULES = {
    "lazy units files checks collectives tables devices colours": _folder("torch sympy", "checks"),
    "counts": _folder("torch sympy", "lazy units files checks collectives tables devices"),
    "predict": _folder("torch", "lazy units files checks collectives tables devices"),
    "measure": _folder("sympy", "lazy units files checks collectives tables devices counts"),
    "teaching": _folder("torch", "lazy units files checks collectives tables devices predict"),
    "drawing": _folder("torch", "lazy units files checks collectives tables devices colours counts predict"),
    "figures": _folder("torch sympy", "lazy units files checks collectives tables devices colours counts predict"),
    "comparison": _folder("", "units files checks tables devices counts predict measure"),
    "tracing": _folder("", "lazy units files checks collectives tables devices counts predict measure"),
    "specimens": _folder("", "lazy units files checks collectives tables devices counts predict measure comparison"),
    "specimens.on_paper": _folder("torch", "predict"),
    "specimens.in_torch": _folder("sympy", ""),
    "published": _folder("torch", "lazy units files checks collectives tables devices predict"),
    "published.in_library": _folder("sympy", "measure"),
    "published.in_letters": _folder("", "tracing"),
    "labs command __main__": _folder(
        "",
        "lazy units files checks collectives tables devices counts predict measure teaching drawing figures "
        "comparison tracing specimens published command",
    ),
}
#: What `flopbook` itself imports, which loads nothing.
LAZY = ("typing.", "flopbook.lazy.")
FOLDERS = {name: folder for names, folder in RULES.items() for name in names.split()}


def folder_of(module: str) -> str:
    """Return the folder of `FOLDERS` that a module belongs to, or ""."""
    while module and module not in FOLDERS:
        module = module.rpartition(".")[0]
    return module


def imported(node: ast.AST):
    """Yield the full names that a module imports anywhere, except for type checkers."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        origin = "." * node.level + (node.module or "")
        yield from (f"{origin}.{alias.name}" for alias in node.names)
    elif not is_for_type_checkers(node):
        for child in ast.iter_child_nodes(node):
            yield from imported(child)


def allowed(folder: str, name: str) -> bool:
    """Tell whether code in a folder may import `name`."""
    package, _, inner = name.partition(".")
    if package != "flopbook":
        return package not in FOLDERS[folder].never | {"flopsite", ""}  # a relative import names no folder
    target = folder_of(inner)
    return bool(target) and (target == folder or target in FOLDERS[folder].ours or target.startswith(f"{folder}."))


@cache
def names_in(source: str) -> list[str]:
    """List the full names that a source imports; most sources are asked for again and again."""
    return list(imported(ast.parse(source)))


def violations(package: Path) -> list[str]:
    """List every import that the rules forbid."""
    found = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        names = names_in(path.read_text(encoding="utf-8"))
        if not module:
            found += [f"flopbook/__init__ imports {name}" for name in names if not name.startswith(LAZY)]
        elif folder := folder_of(module):
            found += [f"{module} imports {name}" for name in names if not allowed(folder, name)]
        else:
            found.append(f"{module} is in no folder: add it to RULES")
    return found


def modules_of(*folders: str) -> list[str]:
    """List every module in the folders by its import name."""
    paths = (path.relative_to(PACKAGE).with_suffix("") for path in sorted(PACKAGE.rglob("*.py")))
    modules = (".".join(path.parts).removesuffix(".__init__") for path in paths if path.name != "__main__.py")
    return [module for module in modules if folder_of(module) in folders]


def without(library: str) -> list[str]:
    """List the folders that never import a library."""
    return [name for name, folder in FOLDERS.items() if library in folder.never]


def loaded(modules: list[str], library: str, source: Path = PACKAGE.parent) -> bool:
    """Tell whether a fresh Python that imports the modules has `library` loaded."""
    program = f"import sys, {', '.join(f'flopbook.{module}' for module in modules)}; print({library!r} in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip() == "True"


def test_imports_follow_the_folders():
    assert violations(PACKAGE) == []


@pytest.mark.parametrize("library", ["torch", "sympy"])
def test_a_side_runs_without_the_library_of_the_other(library):
    others = ("figures", "specimens", "published.in_library")  # whose own libraries load it
    folders = [name for name in without(library) if not name.startswith(others)]
    assert not loaded(modules_of(*folders), library)


def test_pictures_of_results_need_no_torch():
    assert not loaded(modules_of("figures"), "torch")


def test_a_package_exports_a_name_and_imports_nothing_before_its_use():
    assert not loaded(["lazy", "measure"], "torch")  # and with them flopbook
    assert loaded(["measure", "measure.timing"], "torch")


@pytest.fixture
def copy(tmp_path):
    """Copy the package, to break the copy."""
    package = tmp_path / "flopbook"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def plant(package: Path, module: str, line: str):
    path = package / f"{module}.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("predict/steps", "import torch", "predict.steps imports torch"),
        ("predict/notation", "from torch.nn import Linear", "predict.notation imports torch.nn.Linear"),
        ("teaching/answers", "import torch", "teaching.answers imports torch"),
        ("measure/meter", "from sympy import Symbol", "measure.meter imports sympy.Symbol"),
        ("measure/operators/registry", "import sympy", "measure.operators.registry imports sympy"),
        ("measure/meter", "def late():\n    import sympy", "measure.meter imports sympy"),
        ("specimens/on_paper/models", "import torch", "specimens.on_paper.models imports torch"),
        ("specimens/in_torch/models", "import sympy", "specimens.in_torch.models imports sympy"),
        ("units", "import torch", "units imports torch"),
        ("counts/tally", "import sympy", "counts.tally imports sympy"),
        ("counts/tally", "from flopbook.predict import B", "counts.tally imports flopbook.predict.B"),
        ("predict/axes", "from flopbook.teaching import boxed", "predict.axes imports flopbook.teaching.boxed"),
        ("predict/products", "from flopbook import measure", "predict.products imports flopbook.measure"),
        ("measure/timing", "from flopbook import predict", "measure.timing imports flopbook.predict"),
        ("comparison", "from flopbook import figures", "comparison imports flopbook.figures"),
        ("figures/style", "from flopbook import measure", "figures.style imports flopbook.measure"),
        ("figures/style", "import flopsite.book", "figures.style imports flopsite.book"),
        ("figures/style", "from . import steps", "figures.style imports ..steps"),
        ("__init__", "from flopbook.predict import B", "flopbook/__init__ imports flopbook.predict.B"),
    ],
)
def test_a_planted_breach_is_found(copy, module, line, found):
    plant(copy, module, line)
    assert violations(copy) == [found]


def test_what_only_type_checkers_import_is_free(copy):
    plant(copy, "figures/style", "if TYPE_CHECKING:\n    from flopbook.measure import Report")
    assert violations(copy) == []


def test_a_module_in_no_folder_is_found(copy):
    (copy / "attic.py").write_text("")
    assert violations(copy) == ["attic is in no folder: add it to RULES"]


@pytest.mark.parametrize(("module", "library"), [("predict/axes", "torch"), ("counts/tally", "sympy")])
def test_a_breach_that_no_import_statement_shows_is_found(copy, module, library):
    (copy.parent / f"{library}.py").touch()  # one that is imported in no time
    plant(copy, module, f"__import__({library!r})")
    assert violations(copy) == []
    assert loaded([module.replace("/", ".")], library, source=copy.parent)
