"""Build the site for `make html`, and print at the end what to do next."""

import argparse
import hashlib
import os
import sys
import time
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.errors import SphinxError
from sphinx.util.console import nocolor
from sphinx.util.docutils import docutils_namespace, patch_docutils

from flopsite.book import Book
from flopsite.execution.cache_key import installation

_NOT_READ = {"node_modules", "tests", "benchmarks"}  # beside the folders whose names begin with a dot or an underscore


def stamp(root: Path) -> str:
    """Return a digest of all that the site is made of: files, versions, settings of the environment."""
    settings = sorted(pair for pair in os.environ.items() if pair[0].startswith("FLOPBOOK_"))
    digest = hashlib.sha256(f"{root} {installation()} {settings}".encode())
    for folder, inner, names in os.walk(root):
        inner[:] = sorted(name for name in inner if name[0] not in "._" and name not in _NOT_READ)
        for path in (Path(folder, name) for name in sorted(names) if name[0] != "."):
            digest.update(f"\0{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def main() -> int:
    """Build `_build/html` from the current folder; return 0 only if there was no warning."""
    argparse.ArgumentParser(prog="python -m flopsite", description=__doc__).parse_args()
    root, build = Path.cwd(), Path("_build").resolve()
    # Sphinx repeats no warning of a page that it remembers, so after a failure or an interrupt its memory is dropped.
    complete, made_of = build / "complete", stamp(root)
    first = build / "html" / "index.html"
    if first.exists() and complete.exists() and complete.read_text("utf-8") == made_of:
        print(f"The site is up to date: {first}")
        return 0
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
    complete.write_text(made_of, "utf-8")
    print(f"The site is built ({time.monotonic() - began:.1f} s): {first}")
    print("Look at it with: make serve")
    return 0


if __name__ == "__main__":
    sys.exit(main())
