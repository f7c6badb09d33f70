"""Write each executable page as a Jupyter notebook that a reader can take away."""

import base64
import hashlib
import posixpath
import zlib
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any, cast

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_nb.sphinx_ import SphinxEnvType
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinxcontrib.bibtex.domain import BibtexDomain

from flopsite.book import Book
from flopsite.execution.cache_key import code_cells, data_of
from flopsite.execution.reader import page_store
from flopsite.jupyter.page import METADATA, fold
from flopsite.takeaway import wheel
from flopsite.takeaway.markdown import plain_markdown
from flopsite.takeaway.roles import Roles, glued_texts

_GREETING = """*{title}*, a page of *{book}*.

To run it, take `{wheel}` from the book's site and install it, with what else this page imports:

`pip install {place}{wheel}{others}`

Pictures and calculators turn, and exercises take answers, once their cells have run."""
_DATA = """import base64, os, pathlib, tempfile, zlib

# This page reads files of the book's repository. They are unpacked into a temporary folder, and the page runs there.
files = {{
{files}
}}
root = pathlib.Path(tempfile.mkdtemp(prefix="flopbook-"))
for name, packed in files.items():
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(zlib.decompress(base64.b85decode(packed)))
(root / "{folder}").mkdir(exist_ok=True)
os.chdir(root / "{folder}")"""
IMPORTED = {"myst_nb": "myst-nb", "sklearn": "scikit-learn"}  # apart from what the package itself installs
_HIDDEN = {"jupyter": {"source_hidden": True}}


def take_away(app: Sphinx, docname: str) -> NotebookNode:
    """Make a page's notebook: plain Markdown, no outputs, ids that follow from the content."""
    path = Path(app.env.doc2path(docname))
    config = cast(SphinxEnvType, app.env).myst_config
    page = read_myst_markdown_notebook(path.read_text("utf-8"), config, path=path)
    roles = Roles(
        link=partial(_link, app, docname),
        glued=glued_texts(nbformat.read(page_store(app, docname), 4)),
        entries=cast(BibtexDomain, app.env.get_domain("cite")).bibdata.data.entries,
        labels={name: title for name, (_, _, title) in app.env.domains.standard_domain.labels.items()},
    )
    cells = [nbformat.v4.new_markdown_cell(_greeting(app, docname, page))]
    if data := data_of(page):
        cells.append(nbformat.v4.new_code_cell(_unpacking(app, docname, data), metadata=_HIDDEN))
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, roles)
        fold(cell)
    cells += [cell for cell in page.cells if cell.source]
    return nbformat.v4.new_notebook(cells=_identified(cells), metadata=METADATA)


def _greeting(app: Sphinx, docname: str, page: NotebookNode) -> str:
    code = "\n".join(cell.source for cell in code_cells(page))
    return _GREETING.format(
        title=app.env.titles[docname].astext(),
        book=app.config.project,
        wheel=wheel.name(),
        place=app.config.html_baseurl or "./",
        others="".join(f" {package}" for module, package in IMPORTED.items() if f"from {module}" in code),
    )


def _unpacking(app: Sphinx, docname: str, names: list[str]) -> str:
    """Write the code that unpacks the page's data."""
    root = Path(app.srcdir)
    packed = {name: base64.b85encode(zlib.compress((root / name).read_bytes(), 9)).decode() for name in names}
    files = "\n".join(f'    "{name}": """{text}""",' for name, text in packed.items())
    return _DATA.format(files=files, folder=posixpath.dirname(docname))


def _link(app: Sphinx, docname: str, text: str, target: str) -> str:
    """Link to the notebook of another page, or name a page that has no notebook."""
    folder = posixpath.dirname(docname)
    page = posixpath.normpath(posixpath.join("/", folder, target)).lstrip("/")
    words = text or (app.env.titles[page].astext() if page in app.env.titles else target)
    return f"[{words}]({posixpath.relpath(page, folder)}.ipynb)" if _has_notebook(app, page) else words


def _identified(cells: list[NotebookNode]) -> list[NotebookNode]:
    seen: Counter[str] = Counter()
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell["id"] = f"{digest}-{seen[digest]}"
    return cells


def _has_notebook(app: Sphinx, docname: str) -> bool:
    return docname in Book.of(app.env).data["seconds"] and page_store(app, docname).is_file()


def _offer(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the notebook beside the page and tell the page's template where it is."""
    if not _has_notebook(app, docname):
        return
    target = Path(app.outdir) / "notebooks" / f"{docname}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(take_away(app, docname), target)
    context["notebook"] = f"notebooks/{docname}.ipynb"


def setup(app: Sphinx) -> None:
    """Write a page's notebook whenever the page is written."""
    app.connect("html-page-context", _offer)
