"""Build the site with Sphinx, and print what went wrong."""

import gc
import sys
import time
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.console import nocolor
from sphinx.util.docutils import docutils_namespace, patch_docutils

from flopsite.book import Book
from flopsite.execution.kernel import Kernels


def build_site(root: Path, build: Path, kernels: Kernels) -> int:
    """Build the site of the book at `root`; return 0 only if there was no warning."""
    if not sys.stderr.isatty():
        nocolor()
    began = time.monotonic()
    # Sphinx makes millions of nodes and keeps most: the search for garbage among them took a third of the build's time.
    gc.disable()
    try:
        with patch_docutils(root), docutils_namespace():
            app = Sphinx(root, root, build / "html", build / "doctrees", "html", status=None, warningiserror=True)
            Book.of(app.env).kernels = kernels
            # While a second process writes a page, the next one is resolved. Reading is not safe side by side.
            app.connect("env-updated", lambda app, env: setattr(app, "parallel", 2))
            app.build()
    except KeyboardInterrupt:
        print("\nInterrupted. The pages done so far are kept: `make html` goes on from there.", file=sys.stderr)
        return 130
    except SphinxError as error:
        print(f"\nThe site was not built. {error}", file=sys.stderr)
        return 2
    if app.statuscode:
        print("\nThe site was not built: mend what each warning above names.", file=sys.stderr)
        for failure in Book.of(app.env).failures:
            print(f"\n{failure}", file=sys.stderr)
        return app.statuscode
    print(f"The site is built ({time.monotonic() - began:.1f} s): {build / 'html' / 'index.html'}")
    return 0
