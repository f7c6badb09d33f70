"""Read a page: execute its cells, or take the results of the last time when nothing they depend on has changed."""

import os
import time
from pathlib import Path
from typing import cast

import nbformat
from myst_nb.core.read import MystMetadataParsingError, read_myst_markdown_notebook
from myst_nb.sphinx_ import SphinxEnvType
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError

from flopsite.book import Book
from flopsite.execution.cache_key import code_cells, installation, page_inputs, page_key
from flopsite.execution.kernel import execute
from flopsite.execution.progress import Progress
from flopsite.warnings import Kind, warn


def _begin(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    with_code = [name for name in docnames if "{code-cell}" in env.doc2path(name).read_text("utf-8")]
    Book.of(env).progress = Progress(len(with_code))


def _read(app: Sphinx, docname: str, content: list[str]) -> None:
    """Replace a page's text by its notebook, executed."""
    env = cast(SphinxEnvType, app.env)
    path = Path(env.doc2path(docname))
    try:
        notebook = read_myst_markdown_notebook(content[0], env.myst_config, add_source_map=True, path=path)
    except MystMetadataParsingError as error:
        raise SphinxError(f"{docname}.md: {error}") from error
    Book.of(env).data["settings"][docname] = notebook.metadata.get("flopbook", {})
    if code_cells(notebook):
        inputs = page_inputs(notebook, Path(app.srcdir))
        for file in inputs:
            if not file.is_file():
                raise SphinxError(f"{docname}.md names a data file that is not there: {file}")
            env.note_dependency(file)
        notebook = _with_results(app, docname, notebook, page_key(notebook, inputs))
        notebook.metadata["language_info"] = {"name": "python"}  # for the colours of the code
    content[0] = nbformat.writes(notebook)


def _with_results(app: Sphinx, docname: str, notebook: NotebookNode, key: str) -> NotebookNode:
    book = Book.of(app.env)
    store = page_store(app, docname)
    book.progress.start(docname)
    stored = nbformat.read(store, 4) if store.is_file() else None
    if stored and stored.metadata.flopsite.key == key:
        for cell, kept in zip(code_cells(notebook), code_cells(stored), strict=True):
            cell.outputs, cell.execution_count = kept.outputs, kept.execution_count
        book.data["seconds"][docname] = stored.metadata.flopsite.seconds
        book.progress.finish(docname, "cached")
        return notebook
    began = time.monotonic()
    failure = execute(notebook, Path(app.srcdir), Path(app.env.doc2path(docname, base=False)))
    seconds = time.monotonic() - began
    book.data["seconds"][docname] = seconds
    if failure:
        book.failures.append(failure)
        warn(Kind.EXECUTION, failure.headline)
    else:
        _keep(notebook, store, key, seconds)
    book.progress.finish(docname, "FAILED" if failure else f"{seconds:.1f} s")
    return notebook


def page_store(app: Sphinx, docname: str) -> Path:
    """Where a page's results are kept."""
    return _stores(app) / f"{docname}.ipynb"


def _stores(app: Sphinx) -> Path:
    return Path(app.doctreedir).parent / "pages"


def _keep(notebook: NotebookNode, store: Path, key: str, seconds: float) -> None:
    """Write the results in one move: an interrupted build leaves all of a page or nothing."""
    kept = nbformat.from_dict({**notebook, "metadata": {**notebook.metadata}})
    kept.metadata["flopsite"] = {"key": key, "seconds": seconds}
    store.parent.mkdir(parents=True, exist_ok=True)
    unfinished = store.with_suffix(".tmp")
    nbformat.write(kept, unfinished)
    os.replace(unfinished, store)


def _sweep(app: Sphinx, exception: Exception | None) -> None:
    """Remove what pages that are no longer in the book have left behind."""
    site = Path(app.outdir)
    written = {
        _stores(app): "**/*.ipynb",
        site / "notebooks": "**/*.ipynb",
        site / "_sources": "**/*.md",
        site: "[!_]*/*.html",
    }
    for folder, pattern in written.items():
        for path in folder.glob(pattern):
            if path.relative_to(folder).with_suffix("").as_posix() not in app.env.found_docs:
                path.unlink()


def _note_edition(app: Sphinx, config: object) -> None:
    own = sorted(Path(__file__).parents[1].rglob("*.py"))
    app.config.flopsite_edition = [installation(), *(path.read_text("utf-8") for path in own)]


def setup(app: Sphinx) -> None:
    """Hook into the reading of pages; another Python, torch or flopsite calls for reading all of them."""
    app.add_config_value("flopsite_edition", [], "env", list)
    app.connect("config-inited", _note_edition)
    app.connect("build-finished", _sweep)
    app.connect("env-before-read-docs", _begin)
    app.connect("source-read", _read)
