"""Lead addresses of names on the API's first page, which had them all, to the page that has them now."""

import json
from typing import Any

from sphinx.application import Sphinx

_FIRST = "reference/api"
_LEAD = """
const pages = %s;
const name = location.hash.slice(1).replace("module-", "");
const module = Object.keys(pages).filter((one) => `${name}.`.startsWith(`${one}.`)).sort().at(-1);
if (module) location.replace(pages[module] + location.hash);
"""


def _lead(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Give the first page a script that knows the page of each module."""
    if docname == _FIRST:
        modules = app.env.domains.python_domain.modules
        pages = {name: app.builder.get_relative_uri(docname, module.docname) for name, module in modules.items()}
        app.add_js_file(None, body=_LEAD % json.dumps(pages))


def setup(app: Sphinx) -> None:
    """Register with the writing of pages."""
    app.connect("html-page-context", _lead)
