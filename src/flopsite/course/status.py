"""What this very build ran on and how long its pages took."""

import os
import platform
from importlib.metadata import version
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.web.tables import table

STATUS = "build-status"
_PACKAGES = ["torch", "sympy", "numpy", "matplotlib", "sphinx", "myst-nb"]


class FillStatus(SphinxPostTransform):
    """Replaces the `{build-status}` directive by tables of versions and seconds."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for place in [node for node in self.document.findall(FilledLater) if node["filling"] == STATUS]:
            place.replace_self([_installation(), self._seconds()])

    def _seconds(self) -> nodes.table:
        seconds = Book.of(self.env).data["seconds"]
        rows = [[self._link(docname), f"{seconds[docname]:.1f}"] for docname in sorted(seconds)]
        rows.append([nodes.strong("", "all"), f"{sum(seconds.values()):.1f}"])
        return table(["Page", "Seconds of execution"], [[[page], [nodes.Text(took)]] for page, took in rows])

    def _link(self, docname: str) -> nodes.reference:
        target = self.app.builder.get_relative_uri(self.env.docname, docname)
        return nodes.reference("", self.env.titles[docname].astext(), internal=True, refuri=target)


def _installation() -> nodes.table:
    facts = {
        "Python": platform.python_version(),
        **{package: version(package) for package in _PACKAGES},
        "System": f"{platform.system()} {platform.machine()}",
        "Processor": f"{os.cpu_count()} cores",
    }
    return table(["What", "Version"], [[[nodes.Text(what)], [nodes.Text(which)]] for what, which in facts.items()])


def setup(app: Sphinx) -> None:
    """Register the directive and what fills it."""
    app.add_directive(STATUS, FilledLaterDirective)
    app.add_post_transform(FillStatus)
