"""Run a page's cells in a fresh kernel and say which cell stopped it."""

import os
import re
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from flopsite.book import Failure
from flopsite.keys import code_cells

CELL_TIMEOUT = 120  # seconds
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KERNEL_ARGUMENTS = [
    "--HistoryManager.enabled=False",
    "--InlineBackend.figure_formats={'svg'}",
    "--InlineBackend.print_figure_kwargs={'bbox_inches': 'tight', 'metadata': {'Date': None}}",
]


def execute(notebook: NotebookNode, path: Path) -> Failure | None:
    """Fill in the outputs of a page; a failing cell, or one that writes to stderr, is returned.

    The kernel starts in the page's folder, as it does when a reader opens the page in Jupyter.
    """
    reached = 0

    def note_start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell_index

    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        kernel_name="python3",
        resources={"metadata": {"path": str(path.parent)}},
        extra_arguments=list(_KERNEL_ARGUMENTS),
        on_cell_start=note_start,
    )
    # An empty profile: the reader's own start-up files are no part of the book.
    with TemporaryDirectory() as profile:
        try:
            client.execute(env=_kernel_environment(profile))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return _failure(notebook, path, reached, _reason(error))
    return _complaint(notebook, path)


def _kernel_environment(profile: str) -> dict[str, str]:
    """What a page's process inherits: figures that come out the same every time, and a quiet profiler."""
    return {
        **os.environ,
        "IPYTHONDIR": profile,
        "KINETO_LOG_LEVEL": "99",  # the profiler's USDT lines would land in the page
        "MATPLOTLIBRC": str(files("flopsite") / "matplotlibrc"),
        "PYTHONHASHSEED": "0",
    }


def _reason(error: Exception) -> str:
    """The last lines of the traceback, plain, ending in the exception itself."""
    lines = _ANSI.sub("", getattr(error, "traceback", "") or str(error)).strip().splitlines()
    return "\n".join(line for line in lines[-12:] if line.strip()) or type(error).__name__


def _complaint(notebook: NotebookNode, path: Path) -> Failure | None:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                return _failure(notebook, path, index, f"{output.text.strip()}\nthe cell writes to stderr")
    return None


def _failure(notebook: NotebookNode, path: Path, index: int, reason: str) -> Failure:
    cell = notebook.cells[index]
    number = next(n for n, code in enumerate(code_cells(notebook), 1) if code is cell)
    return Failure(str(path), notebook.metadata.source_map[index] + 1, number, cell.source, reason)
