"""Box formulas on the pages, and gather them in an index."""

from collections.abc import Iterator
from typing import Any, ClassVar, cast

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.domains.math import MathDomain
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopbook.predict.plans import PLAN
from flopbook.teaching.formulas import FORMULA
from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.course.outline import Page
from flopsite.warnings import Kind, warn
from flopsite.web.tables import table

INDEX = "formula-index"
_LONGEST = 500  # letters of an expression that is set as a formula


class FormulaRenderer:
    """Renders outputs that carry a formula, for myst-nb."""

    mime_priority_overrides: ClassVar = [("*", FORMULA, 1), ("*", PLAN, 1)]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        """Return the box and note its formula, or None for another kind of output.

        A plan, which is many formulas, becomes a table.
        """
        if data.mime_type == PLAN and not inline:
            rows = [[[nodes.Text(title)], [_expression(text, latex)]] for title, text, latex in data.content["rows"]]
            return [table(["What", "Formula"], rows)]
        if data.mime_type != FORMULA or inline:
            return None
        formula = data.content
        env = renderer.renderer.sphinx_env
        if previous := _note(env, formula):
            message = f"a formula named {formula['name']!r} is boxed already on {previous}: give each its own name"
            warn(Kind.FORMULA, message, (env.docname, data.line))
        return [_box(formula)]


def _expression(text: str, latex: str) -> nodes.Element:
    """Set an expression as a formula; one that fills a screen is text, which can be copied and weighs a hundredth."""
    return nodes.literal("", text) if len(text) > _LONGEST else nodes.math("", latex)


def target(name: str) -> str:
    """Return the anchor of a box."""
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
    label = target(name)
    standard = env.domains.standard_domain
    standard.labels[label] = (env.docname, label, formula["title"])
    standard.anonlabels[label] = (env.docname, label)
    cast(MathDomain, env.get_domain("math")).note_equation(env.docname, name)
    return None


def _box(formula: dict[str, Any]) -> nodes.container:
    box = nodes.container(classes=["formula-box"], ids=[target(formula["name"])])
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
    """Replaces the `{formula-index}` directive by a card for each boxed formula, by lecture."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        book = Book.of(self.env)
        for place in [node for node in self.document.findall(FilledLater) if node["filling"] == INDEX]:
            place.replace_self([node for page in book.course.pages.values() for node in self._boxes_of(page)])

    def _boxes_of(self, page: Page) -> Iterator[nodes.Node]:
        formulas = Book.of(self.env).data["formulas"].values()
        if cards := [self._card(formula) for formula in formulas if formula["docname"] == page.docname]:
            address = self.app.builder.get_relative_uri(self.env.docname, page.docname)
            yield nodes.rubric("", "", nodes.reference("", page.heading, internal=True, refuri=address))
            yield nodes.bullet_list("", *cards, classes=["formula-cards"])

    def _card(self, formula: dict[str, Any]) -> nodes.list_item:
        page = self.app.builder.get_relative_uri(self.env.docname, formula["docname"])
        box = nodes.reference("", formula["title"], internal=True, refuri=f"{page}#{target(formula['name'])}")
        return nodes.list_item(
            "",
            nodes.paragraph("", "", box),
            nodes.math_block("", formula["latex"], nowrap=False, number=None),
            nodes.paragraph("", f"Holds when {formula['when']}."),
            nodes.paragraph("", f"Agree: {', '.join(_witnesses(formula))}.", classes=["formula-witnesses"]),
        )


def _bring_filter(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    if 'class="formula-cards' in context.get("body", ""):
        app.add_js_file("math/filter.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Register the index."""
    app.add_directive(INDEX, FilledLaterDirective)
    app.add_post_transform(FillIndex)
    app.connect("html-page-context", _bring_filter)
