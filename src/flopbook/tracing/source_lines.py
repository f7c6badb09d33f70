"""Find the line of the reader's code where something happened."""

import linecache
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

import sympy
import torch

from flopbook.measure import operators

_OURS = f"{Path(__file__).parent}/"
_TORCH = f"{Path(torch.__file__).parent}/"

#: PyTorch, SymPy and this package: a line of theirs says nothing about the model.
_MACHINERY = _OURS, _TORCH, *(f"{package.__path__[0]}/" for package in (operators, sympy))

#: Python and everything that is installed.
_INSTALLED = tuple(f"{folder}/" for name, folder in sysconfig.get_paths().items() if "lib" in name)

#: The files of PyTorch's Python that calculate with sizes: a model that asks itself calls into them.
_ASKING = f"{_TORCH}__init__.py", f"{_TORCH}fx/experimental/sym_node.py"

#: The function that builds and runs a model: no frame around that one belongs to the model.
_RUN = f"{_OURS}run.py", "__init__"


class Line(NamedTuple):
    """A line of code; of a library's line, also which line of the reader's makes the model that runs it."""

    file: str
    number: int
    maker: str = ""

    @property
    def text(self) -> str:
        """The line itself."""
        return linecache.getline(self.file, self.number).strip()

    def __str__(self):
        if not self.file:
            return "PyTorch itself"
        path, text = Path(self.file), f": {self.text}" if self.text else ""
        in_cell = path.parent.name.startswith("ipykernel_")  # whose files are named by a digest
        return (f"line {self.number} of a cell" if in_cell else f"{path.name}:{self.number}") + text + self.maker


def asking(frame: FrameType | None) -> tuple[Line, bool]:
    """Find the line of the model that asks for a size, and whether the model asks itself or PyTorch does for it."""
    lines: list[Line] = []
    inner, by_model = "", False
    while frame is not None and (frame.f_code.co_filename, frame.f_code.co_name) != _RUN:
        file = frame.f_code.co_filename
        if not file.startswith(_MACHINERY):
            by_model = by_model if lines else inner in _ASKING
            lines.append(Line(file, frame.f_lineno))
        inner, frame = file, frame.f_back
    return _readers(lines), by_model


def raising(error: BaseException, build: Callable) -> Line:
    """Find the line that raised an error in the model that `build` makes."""
    line = _readers([line for line in _lines(error.__traceback__) if not line.file.startswith(_MACHINERY)][::-1])
    code = getattr(build, "__code__", None)
    if code is None or not line.file.startswith(_INSTALLED):
        return line
    return line._replace(maker=f" (in the model of {Line(code.co_filename, code.co_firstlineno)})")


def _lines(traceback: TracebackType | None) -> Iterator[Line]:
    while traceback is not None:
        yield Line(traceback.tb_frame.f_code.co_filename, traceback.tb_lineno)
        traceback = traceback.tb_next


def _readers(lines: list[Line]) -> Line:
    """Choose the innermost line that the reader wrote; where all are a library's, the innermost one."""
    own = [line for line in lines if not line.file.startswith((*_INSTALLED, "<frozen "))]
    return (own or lines or [Line("", 0)])[0]
