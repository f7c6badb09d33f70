"""Read `{calculator} name`: the reader sets the sizes of a formula that is boxed above.

    ```{calculator} matmul
    :time: H100 SXM, bf16
    :curve: B

    B: 1 to 65536, at 64
    D, the width that is summed over: 1 to 65536
    ```

Several names make several rows. A line in the body gives a size its meaning, its range and its start; `1 to 100 only`
refuses numbers outside of the range, and `1 to 128, a divisor of H` refuses other numbers than divisors. What is left
out comes from the book: the meaning from the page's letters, the start from the box. The JavaScript is printed from the
expression that the box shows, into one file for each page.
"""

from pathlib import Path
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flopbook import units
from flopbook.predict import axes, devices
from flopsite.book import Book
from flopsite.calculators.html import panel
from flopsite.calculators.parse import CalculatorError, read, script
from flopsite.exercises.forms import NUMBER_READER
from flopsite.math.letters import meanings
from flopsite.warnings import Kind, warn

_FIELDS = [f"calculators/{name}.js" for name in ("sizes", "fields", "drawing")]


class CalculatorDirective(SphinxDirective):
    """Reads a `{calculator}`; a fault in one fails the build, which names the line."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True
    option_spec: ClassVar = {
        "unit": directives.unchanged,
        "time": directives.unchanged,
        "curve": directives.unchanged,
        "bars": directives.flag,
    }

    def run(self) -> list[nodes.Node]:
        for module in (axes, devices, units):
            self.env.note_dependency(str(module.__file__))
        scripts = Book.of(self.env).data["calculators"].setdefault(self.env.docname, {})
        try:
            calculator = read(self._boxes(), self.options, list(self.content), meanings(self.env, self.env.docname))
            if calculator.name in scripts:
                raise CalculatorError(f"{calculator.name!r} is on this page already: leave one of the two out")
            scripts[calculator.name] = script(calculator)
        except CalculatorError as error:
            line = self.lineno if error.line is None else self.lineno + self.content_offset + 1 + error.line
            warn(Kind.CALCULATOR, f"calculator: {error}", (self.env.docname, line))
            return []
        return panel(calculator)

    def _boxes(self) -> dict[str, dict[str, Any]]:
        """Return the boxes that the argument names, which stand above the calculator."""
        data = Book.of(self.env).data
        here = {
            name: box
            for name, box in {**data["formulas"], **data["plans"]}.items()
            if box["docname"] == self.env.docname
        }
        names = self.arguments[0].split()
        for name in names:
            if name not in here:
                known = ", ".join(here) or "none"
                raise CalculatorError(f"no formula named {name!r} is boxed above on this page: those are {known}")
        return {name: here[name] for name in names}


def _add_scripts(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Write the script of a page's calculators, before Sphinx computes its checksum."""
    scripts = Book.of(app.env).data["calculators"].get(docname)
    if not scripts:
        return
    file = f"calculators/pages/{docname}.js"
    target = Path(app.outdir) / "_static" / file
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text("\n".join(["window.calculators = {};", *scripts.values()]), "utf-8")
    for name in (*NUMBER_READER, "calculators/exact.js", *_FIELDS, file, "calculators/panel.js"):
        app.add_js_file(name, loading_method="defer")
    app.add_css_file("calculators/panel.css")


def setup(app: Sphinx) -> None:
    """Register the directive, and bring its scripts to the pages that have it."""
    app.add_directive("calculator", CalculatorDirective)
    app.connect("html-page-context", _add_scripts)
