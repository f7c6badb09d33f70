"""Box formulas on the pages, and gather them in an index."""

import re
from typing import Any, ClassVar, cast

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.writers.html5 import HTML5Translator

from flopbook.predict.plans import PLAN
from flopbook.teaching.formulas import FORMULA
from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.warnings import Kind, warn
from flopsite.web.tables import table

INDEX = "formula-index"


class FormulaRenderer:
    """Renders outputs that carry a formula, for myst-nb."""

    mime_priority_overrides: ClassVar = [("*", FORMULA, 1), ("*", PLAN, 1)]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        """Return the box and note its formula, or None for another kind of output.

        A plan, which is many formulas, becomes a table, and is noted for calculators.
        """
        if data.mime_type == PLAN and not inline:
            env = renderer.renderer.sphinx_env
            Book.of(env).data["plans"][data.content["name"]] = {**data.content, "docname": env.docname}
            rows = [[[nodes.Text(title)], [nodes.math("", latex)]] for title, _, _, latex in data.content["rows"]]
            return [table(["What", "Formula"], rows)]
        if data.mime_type != FORMULA or inline:
            return None
        formula = data.content
        env = renderer.renderer.sphinx_env
        if previous := _note(env, formula):
            message = f"a formula named {formula['name']!r} is boxed already on {previous}: give each its own name"
            warn(Kind.FORMULA, message, (env.docname, data.line))
        return [_box(formula)]


def _target(name: str) -> str:
    return f"formula-{name}"


def _equation(name: str) -> str:
    """Return the id of an equation as Sphinx makes it, so that `{eq}` finds it."""
    return nodes.make_id(f"equation-{name}")


def _note(env: BuildEnvironment, formula: dict[str, Any]) -> str | None:
    """Keep a formula as a target of references; return another page with its name."""
    formulas = Book.of(env).data["formulas"]
    name = formula["name"]
    if name in formulas:
        return formulas[name]["docname"]
    formulas[name] = {**formula, "docname": env.docname}
    label = _target(name)
    standard = env.domains.standard_domain
    standard.labels[label] = (env.docname, label, formula["title"])
    standard.anonlabels[label] = (env.docname, label)
    cast(MathDomain, env.get_domain("math")).note_equation(env.docname, name)
    return None


class SearchOnlyTitle(nodes.title):
    """Holds a title that search finds and the page does not show."""


def _search_titles(formula: dict[str, Any]) -> list[SearchOnlyTitle]:
    """Let search find a box by its title, and by its formula as typed."""
    typed = re.sub(r"\\(left|right)|[{}_\s]", "", formula["latex"])
    return [SearchOnlyTitle("", name) for name in [formula["title"], typed] if "\\" not in name]


def _skip(writer: HTML5Translator, node: SearchOnlyTitle) -> None:
    raise nodes.SkipNode


def _box(formula: dict[str, Any]) -> nodes.container:
    box = nodes.container(classes=["formula-box"], ids=[_target(formula["name"])])
    box += _search_titles(formula)
    box += nodes.paragraph("", formula["title"], classes=["formula-title"])
    box += nodes.math_block(
        "", formula["latex"], nowrap=False, number=True, label=formula["name"], ids=[_equation(formula["name"])]
    )
    box += nodes.paragraph("", f"Holds when {formula['when']}.")
    agreement = " = ".join([*_witnesses(formula), formula["value"]])
    box += nodes.paragraph("", f"{agreement} at {formula['sizes']}", classes=["formula-witnesses"])
    return box


def _witnesses(formula: dict[str, Any]) -> list[str]:
    return ["predicted", *formula["witnesses"]]


class FillIndex(SphinxPostTransform):
    """Replaces the `{formula-index}` directive by a table of all boxed formulas."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        formulas = Book.of(self.env).data["formulas"].values()
        for place in [node for node in self.document.findall(FilledLater) if node["filling"] == INDEX]:
            rows = [self._row(formula) for formula in sorted(formulas, key=lambda box: box["docname"])]
            place.replace_self(table(["What", "Formula", "Holds when", "Derived in", "Witnesses that agree"], rows))

    def _row(self, formula: dict[str, Any]) -> list[list[nodes.Node]]:
        docname = formula["docname"]
        page = self.app.builder.get_relative_uri(self.env.docname, docname)
        box = nodes.reference("", formula["title"], internal=True, refuri=f"{page}#{_target(formula['name'])}")
        lecture = nodes.reference("", self.env.titles[docname].astext(), internal=True, refuri=page)
        return [
            [box],
            [nodes.math("", rf"\displaystyle {formula['latex']}")],
            [nodes.Text(formula["when"])],
            [lecture],
            [nodes.Text(", ".join(_witnesses(formula)))],
        ]


def setup(app: Sphinx) -> None:
    """Register the index."""
    app.add_node(SearchOnlyTitle, html=(_skip, None))
    app.add_directive(INDEX, FilledLaterDirective)
    app.add_post_transform(FillIndex)
