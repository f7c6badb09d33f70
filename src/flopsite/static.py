"""Bring scripts and styles to the site, those of the package too: `live/static/cells.js` becomes `live/cells.js`."""

import shutil
from pathlib import Path

from sphinx.application import Sphinx


def _copy(app: Sphinx) -> None:
    if app.builder.format == "html":
        for folder in Path(__file__).parents[1].glob("*/*/static"):
            shutil.copytree(folder, Path(app.outdir) / "_static" / folder.parent.name, dirs_exist_ok=True)


def setup(app: Sphinx) -> None:
    """Copy the files before Sphinx computes their checksums."""
    app.connect("builder-inited", _copy)
