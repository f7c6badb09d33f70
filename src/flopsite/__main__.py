"""Build the site for `make html`, and end with what the reader needs to know."""

import sys
import time
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.console import nocolor
from sphinx.util.docutils import docutils_namespace, patch_docutils

from flopsite.book import Book


def main() -> int:
    """Build `_build/html` from the current folder; the exit status is 0 only for a build without a warning."""
    root, build = Path.cwd(), Path("_build").resolve()
    # Warnings are not repeated for pages that Sphinx remembers: after a failure or an interrupt it must forget.
    complete = build / "complete"
    if not complete.exists():
        (build / "doctrees" / "environment.pickle").unlink(missing_ok=True)
    complete.unlink(missing_ok=True)
    if not sys.stderr.isatty():
        nocolor()
    began = time.monotonic()
    try:
        with patch_docutils(root), docutils_namespace():
            app = Sphinx(root, root, build / "html", build / "doctrees", "html", status=None, warningiserror=True)
            app.build()
    except KeyboardInterrupt:
        print("\nInterrupted. The pages done so far are kept: `make html` goes on from there.", file=sys.stderr)
        return 130
    except SphinxError as error:
        print(f"\nThe site was not built. {error}", file=sys.stderr)
        return 2
    if app.statuscode:
        print("\nThe site was not built: each warning above has to go.", file=sys.stderr)
        for failure in Book.of(app.env).failures:
            print(f"\n{failure}", file=sys.stderr)
        return app.statuscode
    complete.touch()
    print(f"The site is built ({time.monotonic() - began:.1f} s): {build / 'html' / 'index.html'}")
    print("Look at it with: make serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
