"""Write two files for language models: `llms.txt` lists all pages, `llms-full.txt` holds them."""

from pathlib import Path

from sphinx.application import Sphinx

from flopsite.book import Book
from flopsite.web.metadata import SUMMARY


def _write(app: Sphinx, exception: Exception | None) -> None:
    """Write both files at the end of a build."""
    if exception:
        return
    env, site = app.env, Path(app.outdir)
    pages = [app.config.root_doc, *Book.of(env).course.pages]
    line = "- [{title}]({base}_sources/{docname}.md){promise}"
    listed, whole = [f"# {app.config.project}", "", f"> {SUMMARY}", "", "## Pages", ""], []
    for docname in pages:
        promise = Book.of(env).data["promises"].get(docname)
        says = f": {' '.join(promise.astext().split())}" if promise else ""
        title = env.titles[docname].astext()
        listed.append(line.format(title=title, base=app.config.html_baseurl, docname=docname, promise=says))
        whole += [f"<!-- {docname}.md -->", "", Path(env.doc2path(docname)).read_text("utf-8")]
    (site / "llms.txt").write_text("\n".join([*listed, ""]), "utf-8")
    (site / "llms-full.txt").write_text("\n".join(whole), "utf-8")


def setup(app: Sphinx) -> None:
    """Write both files with every build."""
    app.connect("build-finished", _write)
