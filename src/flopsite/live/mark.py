"""Mark the cells that the reader can run in the browser, without PyTorch, and count them under the title."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.execution.reader import page_store
from flopsite.live import engine
from flopsite.live.cells import Cell, read_cells

_DATA = "live-cells"  # the id of the data that a page gives its script
#: What marks an element that hands a reader's text to Python, in the attribute's value ``module:name``.
READER = "data-reader="


class MarkCells(SphinxPostTransform):
    """Gives each cell of the page an id, and the page its live cells."""

    default_priority = 5
    builders = ("html",)

    def run(self, **kwargs: Any) -> None:
        shown = {node["cell_index"]: node for node in _parts(self.document, "cell_code")}
        store = page_store(self.app, self.env.docname)
        if not shown or not store.is_file():
            return
        cells = read_cells(nbformat.read(store, 4), Path(self.app.srcdir) / "src")
        visible = {cell.id for cell in cells if not cell.is_part and _mark(cell, shown.get(cell.index))}
        live = [cell for cell in cells if cell.is_live and (cell.id in visible or cell.bound)]
        run = visible & {cell.id for cell in live}
        if run:
            self.document += _data({cell.id: None if cell.id in visible else cell.source for cell in live})
        self.document["cells"] = {"all": len(visible), "live": len(run)}


def _mark(cell: Cell, node: nodes.Element | None) -> bool:
    """Mark a cell of the page, unless its code is hidden."""
    if node is None or not any(_parts(node, "cell_code_source")):
        return False
    node["ids"].append(cell.id)
    return True


def _parts(node: nodes.Node, kind: str) -> Iterator[nodes.container]:
    """Yield the parts of one kind of which myst-nb makes a page."""
    return (part for part in node.findall(nodes.container) if part.get("nb_element") == kind)


def _data(cells: dict[str, str | None]) -> nodes.raw:
    """Write the live cells in order, with the source of hidden ones."""
    text = json.dumps(cells).replace("<", r"\u003c")
    return nodes.raw("", f'<script type="application/json" id="{_DATA}">{text}</script>', format="html")


def _engine(app: Sphinx) -> Path:
    return Path(app.outdir) / "_static" / "live" / "engine"


def _bring(app: Sphinx) -> None:
    if app.builder.name == "html":
        engine.bring(Path(app.srcdir), _engine(app))


def _equip(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    context["cells"] = doctree and doctree.get("cells")
    body = context.get("body", "")
    has_cells = f'id="{_DATA}"' in body
    if has_cells or READER in body:
        size: dict[str, Any] = {"data-bytes": str(engine.size(_engine(app)))}
        app.add_js_file("live/engine.js", loading_method="defer", **size)
    if has_cells:
        for script in ("colours", "outputs", "cells", "session"):
            app.add_js_file(f"live/{script}.js", loading_method="defer")
        app.add_css_file("live/live.css")


def setup(app: Sphinx) -> None:
    """Mark the cells of each page; pages with live cells get their script."""
    app.add_post_transform(MarkCells)
    app.connect("builder-inited", _bring)
    app.connect("html-page-context", _equip)
