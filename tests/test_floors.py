"""The house stands: imports point down, and the two sides never meet below the meeting rooms.

Agreement between a formula and a count means something only because neither side knows of the other.
"""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import flopbook

PACKAGE = Path(flopbook.__file__).parent

#: Side and floor of every module; a package stands for all that it holds, but for what is named.
PLACES = {
    "files": ("neither", 0),
    "units": ("neither", 0),
    "results": ("neither", 0),
    "axes": ("predicting", 0),
    "notation": ("predicting", 0),
    "products": ("predicting", 0),
    "reading": ("predicting", 0),
    "hardware": ("neither", 0),
    "executing": ("neither", 0),
    "accounting": ("predicting", 1),
    "memory": ("predicting", 1),
    "elementwise": ("predicting", 1),
    "update_rules": ("predicting", 1),
    "models": ("predicting", 1),
    "planning": ("predicting", 2),
    "efficiency": ("predicting", 1),
    "exercises": ("predicting", 1),
    "auditing": ("predicting", 1),
    "operators": ("measuring", 0),
    "compiling": ("measuring", 0),
    "modules": ("measuring", 0),
    "tally": ("measuring", 0),
    "updates": ("measuring", 0),
    "tree": ("measuring", 0),
    "views": ("measuring", 0),
    "counting": ("measuring", 1),
    "profiling": ("measuring", 1),
    "timing": ("measuring", 1),
    "metering": ("measuring", 1),
    "spending": ("measuring", 1),
    "bottlenecks": ("measuring", 1),
    "machine": ("measuring", 1),
    "comparison": ("meeting", 2),
    "formula": ("meeting", 2),
    "tracing": ("meeting", 2),
    "specimens": ("meeting", 2),
    "specimens.derivations": ("predicting", 2),
    "specimens.layers": ("measuring", 2),
    "specimens.models": ("measuring", 2),
    "figures": ("meeting", 3),
    "report": ("meeting", 3),
    "charts": ("meeting", 3),
    "dissection": ("meeting", 3),
    "benchmarking": ("meeting", 3),
}

STRANGERS = {
    "predicting": {"torch"},
    "measuring": {"sympy"},
    "neither": {"torch", "sympy"},
    "meeting": set(),
}


def place(module: str) -> tuple[str, int] | None:
    """Where a module stands; a module without a place of its own stands with its package."""
    while module and module not in PLACES:
        module = module.rpartition(".")[0]
    return PLACES.get(module)


def imported(tree: ast.AST):
    """Full names of all that a module imports, wherever in it the import stands."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def breach(side: str, floor: int, name: str) -> bool:
    """Whether a module that stands there must not import `name`."""
    package, _, inner = name.partition(".")
    if package != "flopbook":
        return package in STRANGERS[side] | {"flopsite", ""}  # a relative import names no place
    target = place(inner)
    if not target:
        return True
    may_see = {side, "neither"} if side != "meeting" else set(STRANGERS)
    return target[0] not in may_see or target[1] > floor


def violations(package: Path) -> list[str]:
    """Every import that a module's place forbids."""
    found = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package).with_suffix("").parts).removesuffix("__init__").rstrip(".")
        names = list(imported(ast.parse(path.read_text(encoding="utf-8"))))
        if not module:
            found += [f"flopbook/__init__ re-exports {name}" for name in names]
        elif standing := place(module):
            found += [f"{module} imports {name}" for name in names if breach(*standing, name)]
        else:
            found.append(f"{module} has no place: add it to PLACES")
    return found


def loaded(modules: list[str], stranger: str, source: Path = PACKAGE.parent) -> bool:
    """Whether a fresh Python that imports the modules has `stranger` loaded."""
    program = f"import sys, {', '.join(f'flopbook.{module}' for module in modules)}; print({stranger!r} in sys.modules)"
    environment = {**os.environ, "PYTHONPATH": str(source)}
    run = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    return run.stdout.strip() == "True"


def standing_on(*sides: str) -> list[str]:
    return [module for module, (side, floor) in PLACES.items() if side in sides and floor < 2]


def test_imports_point_down_and_stay_on_their_side():
    assert violations(PACKAGE) == []


def test_the_predicting_side_runs_without_torch():
    assert not loaded([*standing_on("predicting", "neither"), "formula"], "torch")


def test_the_measuring_side_runs_without_sympy():
    assert not loaded(standing_on("measuring", "neither"), "sympy")


@pytest.fixture
def copy(tmp_path):
    """A copy of the package, to break."""
    package = tmp_path / "flopbook"
    shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
    return package


def plant(package: Path, module: str, line: str):
    path = package / f"{module}.py"
    path.write_text(f"{path.read_text(encoding='utf-8')}\n{line}\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("module", "line", "found"),
    [
        ("accounting", "import torch", "accounting imports torch"),
        ("notation", "from torch.nn import Linear", "notation imports torch.nn.Linear"),
        ("counting", "from sympy import Symbol", "counting imports sympy.Symbol"),
        ("operators/table", "import sympy", "operators.table imports sympy"),
        ("specimens/derivations", "import torch", "specimens.derivations imports torch"),
        ("units", "import torch", "units imports torch"),
        ("counting", "def late():\n    import sympy", "counting imports sympy"),
        ("axes", "from flopbook.accounting import flops", "axes imports flopbook.accounting.flops"),
        ("tally", "from flopbook.comparison import compare", "tally imports flopbook.comparison.compare"),
        ("products", "from flopbook import counting", "products imports flopbook.counting"),
        ("timing", "from flopbook import axes", "timing imports flopbook.axes"),
        ("comparison", "from flopbook import figures", "comparison imports flopbook.figures"),
        ("figures", "import flopsite.book", "figures imports flopsite.book"),
        ("figures", "from . import comparison", "figures imports ..comparison"),
        (
            "__init__",
            "from flopbook.accounting import matmul",
            "flopbook/__init__ re-exports flopbook.accounting.matmul",
        ),
    ],
)
def test_a_planted_breach_is_found(copy, module, line, found):
    plant(copy, module, line)
    assert violations(copy) == [found]


def test_a_module_without_a_place_is_found(copy):
    (copy / "attic.py").write_text("")
    assert violations(copy) == ["attic has no place: add it to PLACES"]


@pytest.mark.parametrize(("module", "stranger"), [("axes", "torch"), ("tally", "sympy")])
def test_a_breach_that_no_import_statement_shows_is_found(copy, module, stranger):
    plant(copy, module, f"__import__({stranger!r})")
    assert violations(copy) == []
    assert loaded([module], stranger, source=copy.parent)
