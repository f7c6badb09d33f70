"""Offer the package for pip, so that notebooks run without a checkout."""

import os
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from sphinx.application import Sphinx

from flopsite.age import is_current

_BUILT_FROM = ["pyproject.toml", "README.md", "LICENSE", "src/flopbook"]
_PROGRAM = "from setuptools.build_meta import build_wheel; build_wheel('..')"
_THE_SAME_DATE = {"SOURCE_DATE_EPOCH": "315532800"}  # gives every file one date, so that equal files give equal bytes


def name() -> str:
    """Return the wheel's file name."""
    return f"flopbook-{metadata.version('flopbook')}-py3-none-any.whl"


def write_wheel(root: Path, target: Path) -> None:
    """Build the wheel of a checkout in a copy, since setuptools leaves files there."""
    with TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        for part in _BUILT_FROM:
            (copy / part).parent.mkdir(parents=True, exist_ok=True)
            if (root / part).is_dir():
                shutil.copytree(root / part, copy / part, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(root / part, copy / part)
        environment = {**os.environ, **_THE_SAME_DATE}
        subprocess.run([sys.executable, "-c", _PROGRAM], cwd=copy, env=environment, check=True, capture_output=True)
        (made,) = copy.parent.glob("*.whl")
        shutil.move(made, target)


def _offer(app: Sphinx, exception: Exception | None) -> None:
    """Write the wheel, unless it is newer than all that it is built from."""
    root, target = Path(app.srcdir), Path(app.outdir) / name()
    if not exception and not is_current(target, [root / part for part in _BUILT_FROM]):
        write_wheel(root, target)


def setup(app: Sphinx) -> None:
    """Write the wheel at the end of a build."""
    app.connect("build-finished", _offer)
