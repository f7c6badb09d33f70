"""Run a page's cells in a new kernel, and report the cell that stopped it."""

import logging
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from flopsite.book import Failure
from flopsite.execution.cache_key import code_cells, data_of
from flopsite.execution.kernel import SETTINGS, Kernels

CELL_TIMEOUT = 600  # seconds: enough for a slow machine, and a cell that hangs ends
_LOG = logging.getLogger(__name__)
_LOG.setLevel(logging.WARNING)  # nbclient logs each execution, which the build's progress shows already
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_KERNEL_ARGUMENTS = [
    "--IPKernelApp.log_level=40",  # errors alone: without the line that says how to connect to the kernel
    "--HistoryManager.enabled=False",
    "--InlineBackend.figure_formats={'svg'}",
    "--InlineBackend.print_figure_kwargs={'bbox_inches': 'tight', 'metadata': {'Date': None}}",
]


def execute(notebook: NotebookNode, root: Path, page: Path, kernels: Kernels) -> Failure | None:
    """Fill in a page's outputs; return the cell that failed or wrote to stderr.

    A page runs in a folder of its own that has the data that the page names, and nothing else: so its notebook runs
    anywhere, and what it reads is known to the cache.
    """
    reached = 0

    def note_start(cell: NotebookNode, cell_index: int) -> None:
        nonlocal reached
        reached = cell_index

    path = os.pathsep.join([str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
    with TemporaryDirectory() as copy:
        for name in data_of(notebook):
            (Path(copy) / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / name, Path(copy) / name)
        folder = Path(copy) / page.parent
        folder.mkdir(parents=True, exist_ok=True)
        try:
            run(notebook, folder, kernels, {"PYTHONPATH": path}, on_cell_start=note_start)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            return _failure(notebook, page, reached, _reason(error))
    return _complaint(notebook, page)


def run(
    notebook: NotebookNode, folder: Path, kernels: Kernels, environment: Mapping[str, str], **options: Any
) -> NotebookNode:
    """Run a notebook in a folder, without the start-up files of the user's IPython."""
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
    """Return the last lines of a traceback, which end with the exception, without colours."""
    _, _, traceback = _ANSI.sub("", str(error)).rpartition("-" * 60)  # the cell's code comes before the rule
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
