"""Bring each feature's scripts and styles to the site: `calculators/static/panel.js` becomes `calculators/panel.js`."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx


def _copy(app: Sphinx) -> None:
    if app.builder.format == "html":
        for folder in Path(__file__).parent.glob("*/static"):
            shutil.copytree(folder, Path(app.outdir) / "_static" / folder.parent.name, dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Copy the files before Sphinx computes their checksums."""
    app.connect("builder-inited", _copy)
