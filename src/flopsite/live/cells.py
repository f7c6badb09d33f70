"""Tell which cells can run in the reader's browser, and what the others need."""

import sys
from dataclasses import dataclass
from pathlib import Path

from nbformat import NotebookNode

from flopsite.execution.cache_key import code_cells, imported_files, imported_modules
from flopsite.live.names import Names, names

#: Packages that the page's Python has, apart from the standard library and modules of `flopbook`.
PROVIDED = {"sympy", "mpmath"}
_TITLES = {"torch": "PyTorch", "matplotlib": "Matplotlib", "sklearn": "scikit-learn"}


@dataclass(frozen=True)
class Cell:
    """Describes a code cell: the names it binds, and the packages that the browser lacks."""

    index: int
    source: str
    needs: frozenset[str]
    bound: frozenset[str]

    @property
    def id(self) -> str:
        """Return the cell's anchor on the page."""
        return f"cell-{self.index}"

    @property
    def is_live(self) -> bool:
        """Tell whether the cell runs in the page."""
        return not self.needs

    @property
    def wanting(self) -> str:
        """Name one package that the browser lacks, the best known first."""
        return next((title for package, title in _TITLES.items() if package in self.needs), min(self.needs, default=""))


def read_cells(notebook: NotebookNode, src: Path) -> list[Cell]:
    """Read a page's code cells; names come from the last binding cell above.

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
        cells.append(cell)
        origin |= dict.fromkeys(found.bound, cell)
    return cells


def missing(source: str, src: Path) -> set[str]:
    """Return the packages that code imports, also through modules under `src`, and the browser lacks."""
    texts = [source, *(path.read_text("utf-8") for path in imported_files(source, "", src))]
    packages = {module.partition(".")[0] for text in texts for module in imported_modules(text, "flopbook")}
    return packages - PROVIDED - sys.stdlib_module_names - {"flopbook"}
