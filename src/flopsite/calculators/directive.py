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

from typing import Any, ClassVar

import sympy
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flopbook import units
from flopbook.predict import axes, devices
from flopbook.predict.plans import Plan
from flopbook.teaching.calculators.html import CALCULATOR
from flopbook.teaching.calculators.javascript import UnprintableError
from flopbook.teaching.calculators.make import CalculatorError, made
from flopbook.teaching.formulas import Formula
from flopsite.book import Book
from flopsite.calculators.renderer import place
from flopsite.math.letters import meanings
from flopsite.warnings import Kind, warn


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
        try:
            options = (self.options.get("unit", "FLOPs"), self.options.get("time", ""), self.options.get("curve", ""))
            boxes = [_box(content) for content in self._boxes().values()]
            own = meanings(self.env, self.env.docname)
            calculator = made(boxes, list(self.content), *options, "bars" in self.options, own)
            return place(self.env, calculator._repr_mimebundle_()[CALCULATOR], self.lineno)
        except (CalculatorError, UnprintableError) as error:
            line = self.lineno
            warn(Kind.CALCULATOR, f"calculator: {error}", (self.env.docname, line))
            return []

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


def _box(content: dict[str, Any]) -> Formula | Plan:
    if "rows" in content:
        rows = {title: (unit, sympy.sympify(text)) for title, unit, text, _ in content["rows"]}
        return Plan(
            content["name"], content["title"], rows, {label: dict(known) for label, known in content["choices"]}
        )
    expression = sympy.sympify(content["expression"])
    return Formula(content["name"], content["title"], expression, content["when"], content["start"], 0, ())


def setup(app: Sphinx) -> None:
    """Register the directive."""
    app.add_directive("calculator", CalculatorDirective)
