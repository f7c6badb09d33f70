"""List what a reader can take away of the whole book."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.takeaway import wheel

DOWNLOADS = "downloads"
PDF = "the-flop-book.pdf"
_OFFERS = {
    PDF: "The whole book as a PDF",
    wheel.name(): "The package, for pip",
    "llms.txt": "A list of all pages for language models",
    "llms-full.txt": "The text of all pages in one file",
}


class FillDownloads(SphinxPostTransform):
    """Replaces the `{downloads}` directive by links."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        for place in [node for node in self.document.findall(FilledLater) if node["filling"] == DOWNLOADS]:
            links = [
                nodes.reference("", text, internal=True, refuri=name)
                for name, text in _OFFERS.items()
                if name != PDF or _pdf(self.app).is_file()
            ]
            items = (nodes.list_item("", nodes.paragraph("", "", link)) for link in links)
            place.replace_self(nodes.bullet_list("", *items))
            Book.of(self.env).data["pdf"] = _pdf(self.app).is_file()


def _pdf(app: Sphinx) -> Path:
    return Path(app.outdir) / PDF


def _drop_stale_pdf(
    app: Sphinx, env: BuildEnvironment, added: set[str], changed: set[str], removed: set[str]
) -> Iterable[str]:
    """Remove a PDF of older pages, and rewrite its list when that changes."""
    home = app.config.root_doc
    if (added | changed | removed) - {home}:
        _pdf(app).unlink(missing_ok=True)
    return [home] if _pdf(app).is_file() != Book.of(env).data["pdf"] else []


def setup(app: Sphinx) -> None:
    """Register the directive, its transform, and the check of the PDF."""
    app.add_directive(DOWNLOADS, FilledLaterDirective)
    app.add_post_transform(FillDownloads)
    app.connect("env-get-outdated", _drop_stale_pdf)
