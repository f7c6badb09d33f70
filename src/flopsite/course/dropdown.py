"""Parts of a page that the reader unfolds, such as solutions: `:::{dropdown} Solution`."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective


class Dropdown(SphinxDirective):
    """Folds its content under the title, with the browser's own means."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        title, _ = self.parse_inline(self.arguments[0])
        return [
            nodes.raw("", '<details class="dropdown"><summary>', format="html"),
            nodes.inline("", "", *title),
            nodes.raw("", "</summary>", format="html"),
            *self.parse_content_to_nodes(),
            nodes.raw("", "</details>", format="html"),
        ]


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("dropdown", Dropdown)
