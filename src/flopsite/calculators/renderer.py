"""Put a calculator into the page, and its functions into a script of the page."""

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx

from flopbook.teaching.calculators.html import CALCULATOR, SCRIPTS
from flopbook.teaching.output import NUMBER_READER
from flopsite.book import Book
from flopsite.live.mark import READER
from flopsite.warnings import Kind, warn

*_FIRST, _PANEL = (f"teaching/{name}" for name in (*NUMBER_READER, *SCRIPTS))


class CalculatorRenderer:
    """Renders calculators for myst-nb."""

    mime_priority_overrides: ClassVar = [("*", CALCULATOR, 1)]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Node] | None:
        """Return the calculator with its formulas set, or None for another kind of output."""
        if data.mime_type != CALCULATOR or inline:
            return None
        env, name = renderer.renderer.sphinx_env, data.content["name"]
        scripts = Book.of(env).data["calculators"].setdefault(env.docname, {})
        if name in scripts:
            message = f"a calculator named {name!r} is on this page already: leave one of the two out"
            warn(Kind.CALCULATOR, message, (env.docname, data.line))
        scripts[name] = data.content["script"]
        return [_node(part) for part in data.content["panel"]]


def _node(part: str | list[str]) -> nodes.Node:
    """Return a node of HTML, or of a formula that is given as LaTeX and as text."""
    return nodes.raw("", part, format="html") if isinstance(part, str) else nodes.math("", part[0])


def _add_scripts(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the script of a page's calculators, before Sphinx computes its checksum."""
    scripts = Book.of(app.env).data["calculators"].get(docname)
    if not scripts:
        return
    file = f"calculators/pages/{docname}.js"
    target = Path(app.outdir) / "_static" / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(scripts.values()), "utf-8")
    for name in (*_FIRST, file, _PANEL):
        app.add_js_file(name, loading_method="defer")
    app.add_css_file("teaching/calculators.css")
    if READER in context.get("body", ""):
        app.add_js_file("calculators/own-model.js", priority=600, loading_method="defer")  # after Python's script
        app.add_css_file("calculators/own-model.css")


def setup(app: Sphinx) -> None:
    """Bring the scripts of calculators to the pages that have one."""
    app.connect("html-page-context", _add_scripts)
