"""Turn the cell that checks an answer into a form that checks the reader's answer."""

import re
from typing import Any, ClassVar

from docutils import nodes
from myst_nb.core.render import MimeData, NbElementRenderer
from sphinx.application import Sphinx
from sphinx.transforms import SphinxTransform
from sphinx.writers.html5 import HTML5Translator

from flopbook.teaching.forms import FORM, SCRIPTS, form_html
from flopsite.warnings import Kind, warn

_TITLE = re.compile(r"(?P<number>\d+)\. (?P<words>.+?)\.?")


class Form(nodes.General, nodes.Element):
    """Holds an exercise's `form`, and `number` and `words` of its title."""


class ExerciseRenderer:
    """Renders verdicts for myst-nb."""

    mime_priority_overrides: ClassVar = [("*", FORM, 1)]

    @staticmethod
    def handle_mime(renderer: NbElementRenderer, data: MimeData, inline: bool) -> list[nodes.Element] | None:
        """Return the form of the verdict's exercise, or None for another kind of output."""
        if data.mime_type != FORM or inline:
            return None
        form = Form(form=data.content)
        form.source, form.line = renderer.renderer.document["source"], data.line
        return [form]


class PlaceForms(SphinxTransform):
    """Replaces the cell that checks in a notebook by the form, with the exercise's title."""

    default_priority = 880

    def apply(self, **kwargs: Any) -> None:
        for form in list(self.document.findall(Form)):
            cell = _cell_around(form)
            title = _title_before(cell)
            if title:
                form["number"], form["words"] = title["number"], title["words"]
                cell.replace_self(form)
            else:
                warn(Kind.EXERCISE, "this exercise has no title: begin its paragraph with **1. The title.**", form)
                cell.parent.remove(cell)


def _cell_around(form: Form) -> nodes.Element:
    """Return the whole cell, with its code and every kind of its output."""
    cell: nodes.Element = form
    while cell.get("nb_element") != "cell_code":
        cell = cell.parent
    return cell


def _title_before(cell: nodes.Element) -> re.Match[str] | None:
    siblings = cell.parent.children[: cell.parent.index(cell)]
    strong = (found.astext() for node in reversed(siblings) for found in node.findall(nodes.strong))
    return next(filter(None, map(_TITLE.fullmatch, strong)), None)


def _visit_form(writer: HTML5Translator, node: Form) -> None:
    name = nodes.make_id(f"exercise {node['words']}")
    writer.body.append(form_html(name, node["form"], f"exercise {node['number']}, {node['words']}"))
    raise nodes.SkipNode


def _skip(writer: nodes.NodeVisitor, node: Form) -> None:
    raise nodes.SkipNode


def _bring_scripts(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    if doctree and next(doctree.findall(Form), None):
        for script in SCRIPTS:
            app.add_js_file(f"teaching/{script}", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Register the forms; every page gets the progress script, pages with exercises the others."""
    app.add_node(Form, html=(_visit_form, None), latex=(_skip, None), text=(_skip, None))
    app.add_transform(PlaceForms)
    app.add_css_file("exercises/exercises.css")
    app.add_js_file("exercises/progress.js", loading_method="defer")
    app.connect("html-page-context", _bring_scripts)
