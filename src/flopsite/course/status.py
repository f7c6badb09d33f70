"""Show what the build ran on, its pages' seconds, and tested versions of torch."""

import json
import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.web.tables import table

STATUS = "build-status"
RECORD = "reference/data/versions.json"
_PACKAGES = ["torch", "sympy", "numpy", "matplotlib", "sphinx", "myst-nb"]


class StatusDirective(FilledLaterDirective):
    """Leaves the place of the tables, and has the page read again when the record changes."""

    def run(self) -> list[nodes.Node]:
        record = Path(self.env.srcdir, RECORD)
        if record.exists():  # a small book has none
            self.env.note_dependency(str(record))
        return super().run()


class FillStatus(SphinxPostTransform):
    """Replaces the `{build-status}` directive by tables of versions and seconds."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for place in [node for node in self.document.findall(FilledLater) if node["filling"] == STATUS]:
            place.replace_self([_installation(), self._seconds(), *self._versions()])

    def _seconds(self) -> nodes.table:
        seconds = Book.of(self.env).data["seconds"]
        rows = [[self._link(docname), f"{seconds[docname]:.1f}"] for docname in sorted(seconds)]
        rows.append([nodes.strong("", "all"), f"{sum(seconds.values()):.1f}"])
        return table(["Page", "Seconds of execution"], [[[page], [nodes.Text(took)]] for page, took in rows])

    def _versions(self) -> list[nodes.Node]:
        record = Path(self.app.srcdir, RECORD)
        if not record.exists():
            return []
        title = nodes.paragraph(
            "", "The unit and agreement tests by version of torch, as `make versions` recorded them:"
        )
        rows = [
            [[nodes.Text(text)] for text in _tested(environment)]
            for environment in json.loads(record.read_text(encoding="utf-8"))
        ]
        return [
            title,
            table(["torch", "Python", "Passed", "Skipped", "Failed", "Operators with a rule it lacks"], rows),
        ]

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


def _tested(environment: dict[str, Any]) -> list[str]:
    """Return the cells of one environment that tests ran in."""
    versions = environment["versions"]
    outcomes = (len(environment["failed"]), ", ".join(environment["lacks"]) or "none")
    counts = (f"{environment[outcome]:,}" for outcome in ("passed", "skipped"))
    return [f"{versions['torch']} ({environment['kind']})", versions["python"], *counts, *map(str, outcomes)]


def setup(app: Sphinx) -> None:
    """Register the directive, and the transform that replaces it."""
    app.add_directive(STATUS, StatusDirective)
    app.add_post_transform(FillStatus)
