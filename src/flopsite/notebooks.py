"""Write each executable page as a Jupyter notebook that a reader can take away."""

import hashlib
import re
from collections import Counter
from pathlib import Path
from typing import Any, cast

import nbformat
from myst_nb.core.read import read_myst_markdown_notebook
from myst_nb.core.variables import format_plain_text
from myst_nb.ext.glue import extract_glue_data_cell
from myst_nb.sphinx_ import SphinxEnvType
from nbformat import NotebookNode
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

from flopsite.book import Book
from flopsite.keys import code_cells
from flopsite.markdown import plain_markdown
from flopsite.pages import page_store

_GREETING = """*{title}*, a page of *{book}*.

To run it, install the package from a checkout of the book's repository: `pip install . myst-nb`."""
_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
_NAMED_TARGET = re.compile(r"^(?P<text>.*\S)\s*<[^>]+>$", re.DOTALL)


def take_away(app: Sphinx, docname: str) -> NotebookNode:
    """The notebook of a page: plain Markdown, no outputs, ids that depend on the content alone."""
    path = Path(app.env.doc2path(docname))
    config = cast(SphinxEnvType, app.env).myst_config
    page = read_myst_markdown_notebook(path.read_text("utf-8"), config, path=path)
    glued = _glued_texts(nbformat.read(page_store(app, docname), 4))

    def resolve(role: str, content: str) -> str:
        return _plain_role(app.env, glued, role, content)

    title = app.env.titles[docname].astext()
    cells = [nbformat.v4.new_markdown_cell(_GREETING.format(title=title, book=app.config.project))]
    for cell in page.cells:
        if cell.cell_type == "markdown":
            cell.source = plain_markdown(cell.source, resolve)
    cells += [cell for cell in page.cells if cell.source]
    return nbformat.v4.new_notebook(cells=_identified(cells), metadata=_METADATA)


def _plain_role(env: BuildEnvironment, glued: dict[str, str], role: str, content: str) -> str:
    """What the site would show for a role, as text."""
    if role.startswith("glue"):
        name, _, spec = content.partition(":")
        return format_plain_text(glued.get(name, name), spec)
    if named := _NAMED_TARGET.match(content):
        return named["text"]
    if role == "doc":
        return env.titles[content.strip("/")].astext() if content.strip("/") in env.titles else content
    if role in ("ref", "numref"):
        return env.domains.standard_domain.labels.get(content, ("", "", content))[2]
    return f"[{content}]" if role.startswith("cite") else content


def _glued_texts(executed: NotebookNode) -> dict[str, str]:
    """The values that a page's cells glued into its prose, as text."""
    glued = (pair for cell in code_cells(executed) for pair in extract_glue_data_cell(cell))
    return {name: output["data"].get("text/plain", "") for name, output in glued}


def _identified(cells: list[NotebookNode]) -> list[NotebookNode]:
    seen: Counter[str] = Counter()
    for cell in cells:
        digest = hashlib.sha256(f"{cell.cell_type}\0{cell.source}".encode()).hexdigest()[:12]
        seen[digest] += 1
        cell["id"] = f"{digest}-{seen[digest]}"
    return cells


def _offer(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the notebook beside the page and tell the page's template where it is."""
    if docname not in Book.of(app.env).data["seconds"] or not page_store(app, docname).is_file():
        return
    target = Path(app.outdir) / "notebooks" / f"{docname}.ipynb"
    target.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(take_away(app, docname), target)
    context["notebook"] = f"notebooks/{docname}.ipynb"


def setup(app: Sphinx) -> None:
    """A page's notebook is written whenever the page is."""
    app.connect("html-page-context", _offer)
