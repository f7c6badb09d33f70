"""Put a picture into the page, and its script and style beside it."""

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx

import flopbook.drawing
from flopbook.drawing.picture import PICTURE

_FILES = Path(flopbook.drawing.__file__).parent
_TARGET = "pictures"


class PictureRenderer:
    """Renders pictures for myst-nb."""

    mime_priority_overrides: ClassVar = [("html", PICTURE, 1)]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        """Return the picture as HTML, or None for another kind of output."""
        if data.mime_type != PICTURE or inline:
            return None
        return [nodes.raw("", data.content["html"], format="html", classes=["picture"])]


def _copy(app: Sphinx) -> None:
    if app.builder.format == "html":
        target = Path(app.outdir) / "_static" / _TARGET
        target.mkdir(parents=True, exist_ok=True)
        for source in _FILES.glob("picture.*[!y]"):
            (target / source.name).write_bytes(source.read_bytes())


def _equip(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    if doctree and any("picture" in raw["classes"] for raw in doctree.findall(nodes.raw)):
        app.add_js_file(f"{_TARGET}/picture.js", loading_method="defer")
        app.add_css_file(f"{_TARGET}/picture.css")


def setup(app: Sphinx) -> None:
    """Copy script and style, and bring them to the pages with a picture."""
    app.connect("builder-inited", _copy)
    app.connect("html-page-context", _equip)
