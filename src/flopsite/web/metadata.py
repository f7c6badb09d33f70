"""Tell search engines and previews what a page is about.

The environment variable `FLOPBOOK_URL` gives the site's address. Without it, whatever needs an absolute address is left
out.
"""

from html import escape
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from flopsite.book import Book

CARD = "_static/card.png"
SUMMARY = (
    "Every floating-point operation of a training step: derived with SymPy, counted while PyTorch runs, and timed. "
    "Executable lectures, labs and reference of the Python package flopbook."
)
_MOST = 200  # characters of a description that previews show


def _describe(
    app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None
) -> None:
    """Put a page's description, and its preview, into its head."""
    if doctree is None:
        return
    tags = {"description": description(app, docname, doctree), "og:type": "article", "og:site_name": app.config.project}
    tags |= {"og:title": app.env.titles[docname].astext(), "og:description": tags["description"]}
    if base := app.config.html_baseurl:
        tags |= {"og:url": f"{base}{docname}.html", "og:image": base + CARD, "twitter:card": "summary_large_image"}
    context["metatags"] += "".join(
        f'<meta {"property" if name.startswith("og:") else "name"}="{name}" content="{escape(content)}">\n'
        for name, content in tags.items()
    )


def description(app: Sphinx, docname: str, doctree: nodes.document) -> str:
    """Return what a lecture derives, or how another page begins."""
    promise = Book.of(app.env).data["promises"].get(docname)
    begins = promise or next(doctree.findall(nodes.paragraph), None)
    text = " ".join(begins.astext().split()) if begins else SUMMARY
    return text if len(text) <= _MOST else text[:_MOST].rsplit(" ", 1)[0] + " …"


def _draw_card(app: Sphinx, exception: Exception | None) -> None:
    """Draw the picture of a preview, once."""
    target = Path(app.outdir) / CARD
    if exception or target.exists():
        return
    from matplotlib.figure import Figure  # noqa: PLC0415  (a second that a build seldom needs)

    card = Figure(figsize=(12, 6.3), dpi=100, facecolor="#ffffff")
    card.text(0.06, 0.78, app.config.project, fontsize=60, weight="bold")
    card.text(0.06, 0.67, "Every FLOP of a training step: derived, counted, timed", fontsize=25, color="#444444")
    axes = card.add_axes((0.2, 0.12, 0.72, 0.42))
    axes.barh(["backward", "forward"], [4, 2], color=["#dd7730", "#4084d6"])
    for place, formula in enumerate(["$4BDK$", "$2BDK$"]):
        axes.text([4, 2][place] + 0.05, place, formula, va="center", fontsize=30)
    axes.set_xlim(0, 5)
    axes.tick_params(labelsize=24, left=False, bottom=False, labelbottom=False)
    axes.spines[:].set_visible(False)
    card.savefig(target, metadata={"Software": None})


def setup(app: Sphinx) -> None:
    """Hook into the writing of pages and the end of the build."""
    app.connect("html-page-context", _describe)
    app.connect("build-finished", _draw_card)
