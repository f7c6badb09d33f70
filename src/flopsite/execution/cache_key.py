"""Compute what a page's results depend on: code, imported modules, data and installation."""

import ast
import hashlib
import platform
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path

from IPython.core.inputtransformer2 import TransformerManager
from nbformat import NotebookNode

from flopbook.lazy import exports_of, is_for_type_checkers

_SETTINGS = [
    "src/flopsite/execution/kernel.py",
    "src/flopsite/execution/matplotlibrc",
]  # the settings that a kernel starts with


def code_cells(notebook: NotebookNode) -> list[NotebookNode]:
    """Return the code cells of a notebook."""
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def data_of(notebook: NotebookNode) -> list[str]:
    """Return the files of data that a page names, from the root of the book."""
    return notebook.metadata.get("flopbook", {}).get("data", [])


def page_inputs(notebook: NotebookNode, root: Path) -> list[Path]:
    """Return the files, other than the page, whose change needs a new execution."""
    source = "\n".join(TransformerManager().transform_cell(cell.source) for cell in code_cells(notebook))
    modules = imported_files(source, "", root / "src")
    named = [*data_of(notebook), "requirements.lock", *_SETTINGS]
    return sorted({*modules, *(root / name for name in named)})


def page_key(notebook: NotebookNode, inputs: Iterable[Path]) -> str:
    """Return a digest that changes exactly when the page has to be executed again."""
    digest = hashlib.sha256(installation().encode())
    for cell in code_cells(notebook):
        tags = sorted(cell.metadata.get("tags", []))
        digest.update(f"\0cell {tags}\0{cell.source}".encode())
    for path in inputs:
        digest.update(f"\0file {path.name}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def installation() -> str:
    """Write down the versions that results may depend on."""
    return f"Python {platform.python_version()}, torch {version('torch')}, {platform.system()} {platform.machine()}"


def imported_files(source: str, package: str, src: Path) -> set[Path]:
    """Return the files under `src` that code imports, directly or through others."""
    found: set[Path] = set()
    waiting = [file for module in imported_modules(source, package) for file in _files_of(module, src)]
    while waiting:
        path, parent = waiting.pop()
        if path not in found:
            found.add(path)
            waiting += _imported_by(path, parent, src)
    return found


@cache  # called for every page and cell; files do not change during a build
def _imported_by(path: Path, package: str, src: Path) -> tuple[tuple[Path, str], ...]:
    modules = imported_modules(path.read_text("utf-8"), package)
    return tuple({file for module in modules for file in _files_of(module, src)})


def imported_modules(source: str, package: str) -> Iterator[str]:
    """Yield the full names that code in `package` imports: `a.b` of `from a import b`."""
    for node in _imports(source):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            base = package.split(".")[: len(package.split(".")) + 1 - node.level] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}".removesuffix(".*") for alias in node.names)


@cache
def _imports(source: str) -> list[ast.Import | ast.ImportFrom]:
    """Find the import statements that may run, at any depth."""
    found: list[ast.Import | ast.ImportFrom] = []
    with suppress(SyntaxError):  # the cell raises the error when it runs
        waiting: list[ast.AST] = [ast.parse(source)]
        while waiting:
            node = waiting.pop()
            if isinstance(node, ast.Import | ast.ImportFrom):
                found.append(node)
            elif not is_for_type_checkers(node):
                waiting += ast.iter_child_nodes(node)
    return found


@cache
def _exports_of(init: Path) -> dict[str, str]:
    return exports_of(init.read_text("utf-8"))


@cache
def _files_of(module: str, src: Path) -> tuple[tuple[Path, str], ...]:
    return tuple(_run_by(module, src))


def _run_by(module: str, src: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files that run when a module is imported, each with its package.

    A package exports names lazily: such a name stands for its own module, the package alone for all those modules.
    """
    parts = module.split(".")
    on: dict[str, str] = {}
    for depth in range(1, len(parts) + 1):
        folder = src.joinpath(*parts[:depth])
        package = ".".join(parts[:depth])
        if (init := folder / "__init__.py").is_file():
            yield init, package
            on = _exports_of(init)
        elif (file := folder.with_suffix(".py")).is_file():
            yield file, ".".join(parts[: depth - 1])
            return
        else:
            on = {parts[depth - 1]: on[parts[depth - 1]]} if parts[depth - 1] in on else {}
            break
    for home in on.values():
        yield from _run_by(home, src)
