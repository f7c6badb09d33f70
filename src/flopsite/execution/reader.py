"""Execute the cells of pages, or take kept results if nothing they depend on changed."""

import os
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import nbformat
from myst_nb.core.read import MystMetadataParsingError, read_myst_markdown_notebook
from myst_nb.sphinx_ import SphinxEnvType
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.errors import SphinxError

from flopsite.book import Book, Failure
from flopsite.execution.cache_key import code_cells, installation, page_inputs, page_key
from flopsite.execution.execute import execute
from flopsite.execution.kernel import Kernels
from flopsite.execution.progress import Progress
from flopsite.warnings import Kind, warn

_BYTES_PER_KERNEL = 2 << 30  # 2 GiB: a page that trains a network takes about half of it


@dataclass
class Page:
    """Holds a page with code, and its results once it was executed."""

    docname: str
    notebook: NotebookNode
    inputs: list[Path]
    key: str
    store: Path
    seconds: float = 0
    failure: Failure | None = None

    @property
    def is_timed(self) -> bool:
        """Tell whether the page measures seconds, so that it must run alone."""
        return bool(self.notebook.metadata.get("flopbook", {}).get("timed"))

    def take_kept(self) -> bool:
        """Fill in the kept results if their key is this page's."""
        kept = nbformat.read(self.store, 4) if self.store.is_file() else None
        if not kept or kept.metadata.flopsite.key != self.key:
            return False
        for cell, same in zip(code_cells(self.notebook), code_cells(kept), strict=True):
            cell.outputs, cell.execution_count = same.outputs, same.execution_count
        self.seconds = kept.metadata.flopsite.seconds
        return True

    def execute(self, root: Path, kernels: Kernels) -> None:
        """Run the cells, and keep the results if none failed or wrote to stderr."""
        began = time.monotonic()
        self.failure = execute(self.notebook, root, Path(f"{self.docname}.md"), kernels)
        self.seconds = time.monotonic() - began
        if not self.failure:
            self._keep()

    def _keep(self) -> None:
        """Write the results as a whole, so that an interrupted build leaves no half page."""
        kept = nbformat.from_dict({**self.notebook, "metadata": {**self.notebook.metadata}})
        kept.metadata["flopsite"] = {"key": self.key, "seconds": self.seconds}
        self.store.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self.store.with_suffix(".tmp")
        nbformat.write(kept, unfinished)
        os.replace(unfinished, self.store)


def _prepare(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Get the results of all pages that Sphinx is about to read."""
    book = Book.of(env)
    with_code = [name for name in docnames if "{code-cell}" in env.doc2path(name).read_text("utf-8")]
    pages = [_page(app, docname) for docname in with_code]
    progress = Progress(len(pages))
    stale = []
    for page in pages:
        if page.take_kept():
            progress.finish(page.docname, "cached")
        else:
            stale.append(page)
    for page in _executed(stale, Path(app.srcdir), book.kernels, progress):
        progress.finish(page.docname, "FAILED" if page.failure else f"{page.seconds:.1f} s")
        if page.failure:
            book.failures.append(page.failure)
            warn(Kind.EXECUTION, page.failure.headline)
    book.pages = {page.docname: page for page in pages}


def _page(app: Sphinx, docname: str) -> Page:
    notebook = _notebook(app, docname, app.env.doc2path(docname).read_text("utf-8"))
    inputs = page_inputs(notebook, Path(app.srcdir))
    for file in inputs:
        if not file.is_file():
            raise SphinxError(f"{docname}.md names a data file that is not there: {file}")
    return Page(docname, notebook, inputs, page_key(notebook, inputs), page_store(app, docname))


def _notebook(app: Sphinx, docname: str, text: str) -> NotebookNode:
    config = cast(SphinxEnvType, app.env).myst_config
    try:
        return read_myst_markdown_notebook(text, config, add_source_map=True, path=app.env.doc2path(docname))
    except MystMetadataParsingError as error:
        raise SphinxError(f"{docname}.md: {error}") from error


def _executed(pages: list[Page], root: Path, kernels: Kernels, progress: Progress) -> Iterator[Page]:
    """Execute pages several at a time, then those that time something one after the other."""
    with ThreadPoolExecutor(_at_a_time()) as pool:

        def execute(page: Page) -> Page:
            progress.start(page.docname)
            page.execute(root, kernels)
            return page

        try:
            together = [pool.submit(execute, page) for page in pages if not page.is_timed]
            yield from (future.result() for future in as_completed(together))
            for page in pages:
                if page.is_timed:
                    yield pool.submit(execute, page).result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            kernels.end()  # whose pages would be waited for
            raise


def _at_a_time() -> int:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return max(1, min(os.cpu_count() or 1, memory // _BYTES_PER_KERNEL))


def _read(app: Sphinx, docname: str, content: list[str]) -> None:
    """Replace a page's text by its notebook, with results."""
    book = Book.of(app.env)
    page = book.pages.get(docname)
    notebook = page.notebook if page else _notebook(app, docname, content[0])
    book.data["settings"][docname] = notebook.metadata.get("flopbook", {})
    if page:
        book.data["seconds"][docname] = page.seconds
        for file in page.inputs:
            app.env.note_dependency(file)
        notebook.metadata["language_info"] = {"name": "python"}  # for the colours of code
    content[0] = nbformat.writes(notebook)


def page_store(app: Sphinx, docname: str) -> Path:
    """Return where a page's results are kept."""
    return _stores(app) / f"{docname}.ipynb"


def _stores(app: Sphinx) -> Path:
    return Path(app.doctreedir).parent / "pages"


def _sweep(app: Sphinx, exception: Exception | None) -> None:
    """Remove the files of pages that are no longer in the book."""
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
    """Register the functions; with another Python, torch or flopsite all pages are read again."""
    app.add_config_value("flopsite_edition", [], "env", list)
    app.connect("config-inited", _note_edition)
    app.connect("build-finished", _sweep)
    app.connect("env-before-read-docs", _prepare)
    app.connect("source-read", _read)
