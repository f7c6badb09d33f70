"""Let tables be sorted and filtered, on the pages that have one."""

from typing import Any

from sphinx.application import Sphinx


def _bring_script(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if 'class="sortable"' in context.get("body", ""):
        app.add_js_file("web/sortable.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Listen to each page that is written."""
    app.connect("html-page-context", _bring_script)
