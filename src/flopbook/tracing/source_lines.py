"""Where in the reader's code something happened."""

import linecache
from pathlib import Path
from types import FrameType, TracebackType
from typing import NamedTuple

import sympy
import torch

from flopbook.measure import operators

_OURS = tuple(f"{Path(file).parent}/" for file in (__file__, operators.__file__, sympy.__file__))
_TORCH = f"{Path(torch.__file__).parent}/"


#: Where a size's value is asked for in Python.
_ASKING = f"{_TORCH}__init__.py", str(Path(__file__).with_name("patches.py"))


class Line(NamedTuple):
    """A line of code."""

    file: str
    line: int

    @property
    def text(self) -> str:
        """The line itself."""
        return linecache.getline(self.file, self.line).strip()

    def __str__(self):
        if not self.file:
            return "PyTorch itself"
        path, said = Path(self.file), f": {self.text}" if self.text else ""
        in_cell = path.parent.name.startswith("ipykernel_")  # whose files are named by a digest
        return (f"line {self.line} of a cell" if in_cell else f"{path.name}:{self.line}") + said


def innermost(frame: FrameType | None) -> tuple[Line, bool]:
    """The innermost line outside of PyTorch and this package, and whether it asked for a size's value itself."""
    inner = ""
    while frame is not None:
        file = frame.f_code.co_filename
        if not file.startswith((*_OURS, _TORCH)):
            return Line(file, frame.f_lineno), inner in _ASKING
        inner, frame = file, frame.f_back
    return Line("", 0), False


def raised(traceback: TracebackType | None) -> Line:
    """The innermost line outside of PyTorch and this package through which an error came."""
    place = Line("", 0)
    while traceback is not None:
        file = traceback.tb_frame.f_code.co_filename
        if not file.startswith((*_OURS, _TORCH)):
            place = Line(file, traceback.tb_lineno)
        traceback = traceback.tb_next
    return place
