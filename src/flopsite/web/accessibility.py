"""Add what the theme's HTML leaves out for screen readers."""

import re
from typing import Any

from sphinx.application import Sphinx

_EMPTY_HEADING = re.compile(
    r'<th\b(?: scope="col")?([^>]*)>(?:<p></p>)?</th>'
)  # the corner of a table is not a heading
_MENDED = {
    'role="doc-biblioentry"': 'role="listitem"',  # an entry in a list of citations
    'class="headerlink" ': 'class="headerlink" tabindex="-1" ',  # the sidebar has the same links
    ' aria-label="Toggle hidden content"': "",  # a fold is called what it reads
}


def _mend(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    for left_out, mended in _MENDED.items():
        context["body"] = context.get("body", "").replace(left_out, mended)
    context["body"] = _EMPTY_HEADING.sub(r"<td\1></td>", context["body"])


def setup(app: Sphinx) -> None:
    """Register after the theme, which makes the navigation at the default priority."""
    app.connect("html-page-context", _mend, priority=900)
