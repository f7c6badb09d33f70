"""Build the site for `make html`, and print at the end what to do next."""

import argparse
import gc
import hashlib
import os
import sys
from pathlib import Path

from flopsite.execution.cache_key import installation
from flopsite.execution.kernel import FORK_IS_SAFE, Kernels

_FEW = 3  # pages: so many take longer to prepare for a fork than to start plainly
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
    with Kernels(fork=FORK_IS_SAFE and len([*root.glob("lectures/*.md")]) > _FEW) as kernels:
        from flopsite.build import build_site  # noqa: PLC0415  (this takes seconds, in which kernels get ready)

        code = build_site(root, build, kernels)
    gc.freeze()  # or Python would search millions of Sphinx's nodes for garbage as it exits, which takes seconds
    if code == 0:
        complete.write_text(made_of, "utf-8")
        print("Look at it with: make serve")
    return code


if __name__ == "__main__":
    sys.exit(main())
