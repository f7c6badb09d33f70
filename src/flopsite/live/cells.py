"""Tell which cells can run in the reader's browser, and what the others need."""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from flopsite.execution.cache_key import code_cells, imported_files, imported_modules
from flopsite.live.names import Names, names

#: Packages that the page's Python has, apart from the standard library and modules of `flopbook`.
PROVIDED = {"sympy", "mpmath"}
#: What of the standard library needs processes, which the browser lacks.
_PROCESSES = {"multiprocessing", "subprocess"}


@dataclass(frozen=True)
class Cell:
    """Describes a code cell: the names it binds, and the packages that the browser lacks.

    A cell that `is_part` is not on the page: it holds the imports of the next cell that the browser can run, where it
    cannot run that cell.
    """

    index: int
    source: str
    needs: frozenset[str]
    bound: frozenset[str]
    is_part: bool = False

    @property
    def id(self) -> str:
        """Return the cell's anchor on the page."""
        return f"cell-{self.index}" + "-imports" * self.is_part

    @property
    def is_live(self) -> bool:
        """Tell whether the cell runs in the page."""
        return not self.needs


def read_cells(notebook: NotebookNode, src: Path) -> list[Cell]:
    """Read a page's code cells; names come from the last binding cell above, or from its imports alone.

    An undefined name does not disqualify a cell: it raises the same NameError in the browser as in the build.
    """
    cells: list[Cell] = []
    origin: dict[str, Cell] = {}
    files = notebook.metadata.get("flopbook", {}).get("data", [])
    indexes = {id(cell): index for index, cell in enumerate(notebook.cells)}
    for code in code_cells(notebook):
        try:
            found, needs = names(code.source), missing(code.source, src)
        except SyntaxError:  # a command of Jupyter, such as %timeit
            found, needs = Names(), {"IPython"}
        needs |= {file for file in files if Path(file).name in code.source}
        inherited = (origin[name].needs for name in found.used & origin.keys())
        cell = Cell(indexes[id(code)], code.source, frozenset(needs).union(*inherited), found.bound)
        origin |= dict.fromkeys(found.bound, cell)
        if not cell.is_live and found.bound and (imports := list(_free_imports(code.source, src))):
            source = "\n".join(imports)
            part = Cell(cell.index, source, frozenset(), names(source).bound, is_part=True)
            origin |= dict.fromkeys(part.bound, part)
            cells.append(part)
        cells.append(cell)
    return cells


def _free_imports(source: str, src: Path) -> Iterator[str]:
    """Yield the imports of a cell that the browser can run, and whose names the cell does not bind again."""
    statements = ast.parse(source).body
    imports = [one for one in statements if isinstance(one, ast.Import | ast.ImportFrom)]
    again = names("\n".join(ast.unparse(one) for one in statements if one not in imports)).bound
    for statement in imports:
        for alias in statement.names:
            text = ast.unparse(_alone(statement, alias))
            if not missing(text, src) and not names(text).bound & again:
                yield text


def _alone(statement: ast.Import | ast.ImportFrom, alias: ast.alias) -> ast.stmt:
    """Return the statement that imports one of several names."""
    if isinstance(statement, ast.Import):
        return ast.Import([alias])
    return ast.ImportFrom(statement.module, [alias], statement.level)


def missing(source: str, src: Path) -> set[str]:
    """Return the packages that code imports, also through modules under `src`, and the browser lacks."""
    texts = [source, *(path.read_text("utf-8") for path in imported_files(source, "", src))]
    packages = {module.partition(".")[0] for text in texts for module in imported_modules(text, "flopbook")}
    return packages - PROVIDED - (sys.stdlib_module_names - _PROCESSES) - {"flopbook"}
