"""What the site adds to Sphinx: executed pages, boxed formulas, figures, notebooks to take away.

The package imports flopbook nowhere: a page's cells do, in a kernel of their own.
"""

from sphinx.application import Sphinx

from flopsite import access, book, folding, formulas, notebooks, pages, status, typesetting


def setup(app: Sphinx) -> dict[str, bool]:
    """Register every part with Sphinx."""
    for part in (book, access, pages, notebooks, folding, formulas, status, typesetting):
        part.setup(app)
    # Pages with torch compete for the cores anyway, and progress is told in order.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
