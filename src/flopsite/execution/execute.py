"""Run a page's cells in a fresh kernel and say which cell stopped it."""

import logging
import os
import re
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from flopsite.book import Failure
from flopsite.execution.cache_key import code_cells
from flopsite.execution.kernel import SETTINGS, Kernels

CELL_TIMEOUT = 600  # seconds: what hangs ends, and a slow machine is waited for
_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.WARNING)  # nbclient announces each execution; the build's own progress does so already
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KERNEL_ARGUMENTS = [
    "--IPKernelApp.log_level=40",  # errors: a kernel on this machine need not say how it is reached
    "--HistoryManager.enabled=False",
    "--InlineBackend.figure_formats={'svg'}",
    "--InlineBackend.print_figure_kwargs={'bbox_inches': 'tight', 'metadata': {'Date': None}}",
]


def execute(notebook: NotebookNode, root: Path, page: Path, kernels: Kernels) -> Failure | None:
    """Fill in the outputs of a page; return the cell that failed or wrote to stderr, if there is one."""
    reached = 0

    def note_start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell_index

    path = os.pathsep.join([str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    try:
        run(notebook, root / page.parent, kernels, {"PYTHONPATH": path}, on_cell_start=note_start)
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
        return _failure(notebook, page, reached, _reason(error))
    return _complaint(notebook, page)


def run(
    notebook: NotebookNode, folder: Path, kernels: Kernels, environment: Mapping[str, str], **options: Any
) -> NotebookNode:
    """Run a notebook in a folder, without the reader's own start-up files; errors of nbclient are raised."""
    client = NotebookClient(
        notebook,
        km=kernels.manager(),
        timeout=CELL_TIMEOUT,
        resources={"metadata": {"path": str(folder)}},
        extra_arguments=list(_KERNEL_ARGUMENTS),
        shutdown_kernel="immediate",
        log=_LOG,
        **options,
    )
    with TemporaryDirectory() as profile:
        everything = {**os.environ, **SETTINGS, **environment, "IPYTHONDIR": profile}
        return client.execute(env=everything, cleanup_kc=True)


def _reason(error: Exception) -> str:
    """Return the last lines of the traceback, without colours; the exception is the last one."""
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
