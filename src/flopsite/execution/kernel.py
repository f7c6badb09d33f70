"""Run a page's cells in a fresh kernel and say which cell stopped it."""

import logging
import os
import re
from pathlib import Path
from tempfile import TemporaryDirectory

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from flopsite.book import Failure
from flopsite.execution.cache_key import code_cells

CELL_TIMEOUT = 120  # seconds
_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.WARNING)  # nbclient announces each execution; the build's own progress does so already
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KERNEL_ARGUMENTS = [
    "--IPKernelApp.log_level=40",  # errors: a kernel on this machine need not say how it is reached
    "--HistoryManager.enabled=False",
    "--InlineBackend.figure_formats={'svg'}",
    "--InlineBackend.print_figure_kwargs={'bbox_inches': 'tight', 'metadata': {'Date': None}}",
]


def execute(notebook: NotebookNode, root: Path, page: Path) -> Failure | None:
    """Fill in the outputs of `page` under `root`; a failing cell, or one that writes to stderr, is returned.

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
        resources={"metadata": {"path": str((root / page).parent)}},
        extra_arguments=list(_KERNEL_ARGUMENTS),
        on_cell_start=note_start,
        log=_LOG,
    )
    # An empty profile: the reader's own start-up files are no part of the book.
    with TemporaryDirectory() as profile:
        try:
            client.execute(env=_kernel_environment(profile))
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return _failure(notebook, page, reached, _reason(error))
    return _complaint(notebook, page)


def _kernel_environment(profile: str) -> dict[str, str]:
    """What a page's process inherits: figures that come out the same every time, and a quiet profiler."""
    return {
        **os.environ,
        "IPYTHONDIR": profile,
        "KINETO_LOG_LEVEL": "99",  # the profiler's USDT lines would land in the page
        "MATPLOTLIBRC": str(Path(__file__).with_name("matplotlibrc")),
        "PYTHONHASHSEED": "0",
    }


def _reason(error: Exception) -> str:
    """The last lines of the traceback, plain, ending in the exception itself."""
    _, _, traceback = _ANSI.sub("", str(error)).rpartition("-" * 60)  # the cell itself stands before the rule
    lines = [line for line in traceback.splitlines() if line.strip()]
    return "\n".join(lines[-12:]) or type(error).__name__


def _complaint(notebook: NotebookNode, page: Path) -> Failure | None:
    for index, cell in enumerate(notebook.cells):
        for output in cell.get("outputs", []):
            if output.output_type == "stream" and output.name == "stderr":
                return _failure(notebook, page, index, f"{output.text.strip()}\nthe cell writes to stderr")
    return None


def _failure(notebook: NotebookNode, page: Path, index: int, reason: str) -> Failure:
    cell = notebook.cells[index]
    number = next(n for n, code in enumerate(code_cells(notebook), 1) if code is cell)
    return Failure(str(page), notebook.metadata.source_map[index], number, cell.source, reason)
