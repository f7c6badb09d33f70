"""Fold parts of a page that the reader unfolds, such as solutions: `:::{dropdown} Solution`."""

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.directives.admonitions import Admonition


class Dropdown(Admonition):
    """Makes a collapsible admonition of Sphinx that starts closed."""

    def run(self) -> list[nodes.Node]:
        self.options |= {"collapsible": "closed", "classes": ["dropdown"]}
        return super().run()


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("dropdown", Dropdown)
