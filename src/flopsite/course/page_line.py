"""Put a line under a page's title: its part, minutes, paths, letters and downloads."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from flopsite.book import Book
from flopsite.course.order import neighbour
from flopsite.course.outline import ReadingPath
from flopsite.course.reading_time import reading_minutes
from flopsite.math.letters import letters_in, meanings


def _orient(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Give the page's template its values; pages that the build makes have no source."""
    if doctree is None:
        return
    course, meaning = Book.of(app.env).course, meanings(app.env, docname)
    page = course.pages.get(docname)
    context["page_line"] = {
        "place": f"Lecture {page.number} of {len(course.lectures)}" if page and page.number else None,
        "minutes": page and (page.minutes or (page.kind == "lab" and reading_minutes(doctree))),
        "paths": [_step(app, path, docname) for path in course.paths if docname in path.docnames],
        "elsewhere": _elsewhere(app.config.flopbook_repository, docname, "notebook" in context),
        "letters": {letter: meaning[letter] for letter in letters_in(context["body"])},
    }


def _step(app: Sphinx, path: ReadingPath, docname: str) -> dict[str, Any]:
    """Describe where a page stands on a path, and what comes next there."""
    after = path.after(docname)
    return {
        "path": path,
        "place": path.docnames.index(docname) + 1,
        "next": after and neighbour(app, docname, Book.of(app.env).course.pages[after]),
    }


def _elsewhere(repository: str, docname: str, has_notebook: bool) -> dict[str, str]:
    """Return where a page can be edited and run, if a repository on GitHub is named.

    >>> list(_elsewhere("owner/name", "lectures/gradients", has_notebook=True))
    ['Edit this page', 'Open in Colab', 'Open in Binder']
    """
    if not repository:
        return {}
    places = {"Edit this page": f"https://github.com/{repository}/edit/main/{docname}.md"}
    if has_notebook:
        # Colab opens notebooks alone, which the workflow for a release puts on a branch of their own.
        colab = f"https://colab.research.google.com/github/{repository}/blob/notebooks/{docname}.ipynb"
        binder = f"https://mybinder.org/v2/gh/{repository}/main?urlpath=lab/tree/{docname}.md"
        places |= {"Open in Colab": colab, "Open in Binder": binder}
    return places


def setup(app: Sphinx) -> None:
    """Register the function that fills the template."""
    app.add_config_value("flopbook_repository", "", "html", str)
    app.connect("html-page-context", _orient)
