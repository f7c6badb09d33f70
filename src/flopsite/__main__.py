"""Build the site for `make html`, and print at the end what to do next."""

import argparse
import sys
import time
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.console import nocolor
from sphinx.util.docutils import docutils_namespace, patch_docutils

from flopsite.book import Book


def main() -> int:
    """Build `_build/html` from the current folder; return 0 only if there was no warning."""
    argparse.ArgumentParser(prog="python -m flopsite", description=__doc__).parse_args()
    root, build = Path.cwd(), Path("_build").resolve()
    # Sphinx repeats no warning of a page that it remembers, so after a failure or an interrupt its memory is dropped.
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
    complete.touch()
    print(f"The site is built ({time.monotonic() - began:.1f} s): {build / 'html' / 'index.html'}")
    print("Look at it with: make serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
