"""Under a page's title: its place in the course, the time to read it, its letters, and what to take away."""

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

from flopsite.course.map import lectures
from flopsite.math.letters import letters_in, meanings

_WORDS_PER_MINUTE = 200
_SECONDS_PER_FORMULA = 5  # to read; what it takes to understand one is the reader's own affair
_SECONDS_PER_CODE_LINE = 3


def reading_minutes(page: nodes.document) -> int:
    """Minutes to read a page's words, formulas and code once, at a steady pace."""
    formulas, lines, text = 0, 0, []
    for node in page.findall(lambda node: isinstance(node, nodes.Text | nodes.math | nodes.math_block)):
        if isinstance(node, nodes.math | nodes.math_block):
            formulas += 1
        elif isinstance(node.parent, nodes.literal_block):
            lines += len(node.splitlines())
        elif not isinstance(node.parent, nodes.math | nodes.math_block | nodes.raw):
            text.append(node.astext())
    words = len(re.findall(r"\w+(?:[-'’]\w+)*", " ".join(text)))
    seconds = words * 60 / _WORDS_PER_MINUTE + formulas * _SECONDS_PER_FORMULA + lines * _SECONDS_PER_CODE_LINE
    return max(1, round(seconds / 60))


def _orient(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document | None) -> None:
    """Tell the page's template; pages that the build makes have no source and no place."""
    if doctree is None:
        return
    course, meaning = lectures(app.env), meanings(app.env, docname)
    context["page_line"] = {
        "place": f"Lecture {course.index(docname) + 1} of {len(course)}" if docname in course else None,
        "minutes": reading_minutes(doctree),
        "letters": {letter: meaning[letter] for letter in letters_in(context["body"])},
    }


def setup(app: Sphinx) -> None:
    """Register what tells the template."""
    app.connect("html-page-context", _orient)
