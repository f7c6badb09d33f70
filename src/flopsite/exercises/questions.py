"""Show questions with answers to choose from; each answer has its reason.

:::{question} How many FLOPs does $x[B,D]\\,w[D,K]$ take?
[ ] $BDK$
: These are multiply-accumulates; each is 2 FLOPs.

[x] $2BDK$
: One multiplication and one addition for each of the $BDK$ combinations.
:::
"""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from flopsite.warnings import Kind, warn

_OPTION = re.compile(r"\[(?P<mark>[ x])\] +(?P<text>\S.*)")
_REASON = re.compile(r"(?::| ) +(?P<text>\S.*)")


@dataclass
class Option:
    """Describes one of the answers to choose from."""

    right: bool
    text: str
    reason: str
    line: int


class QuestionError(ValueError):
    """Refuses a question that is not complete; `line` counts its lines from 0."""

    def __init__(self, line: int, message: str):
        super().__init__(message)
        self.line = line


def read_options(lines: Iterable[str]) -> list[Option]:
    """Read the options of a question, with the reason of each.

    >>> read_options(["[ ] one", ": too few", "", "[x] two", ": one for each", "  of both"])[1]
    Option(right=True, text='two', reason='one for each of both', line=4)
    """
    options: list[Option] = []
    for number, line in enumerate(lines, 1):
        if answer := _OPTION.fullmatch(line):
            options.append(Option(answer["mark"] == "x", answer["text"], "", number))
        elif (reason := _REASON.fullmatch(line)) and options:
            options[-1].reason = f"{options[-1].reason} {reason['text']}".strip()
        elif line.strip():
            raise QuestionError(number, f"{line!r} is neither '[ ] an answer', '[x] the right one' nor ': the reason'")
    for option in options:
        if not option.reason:
            raise QuestionError(option.line, f"the answer {option.text!r} has no reason: give one below, after ': '")
    if sum(option.right for option in options) != 1 or len(options) < 2:
        raise QuestionError(0, "a question has two answers or more, and one of them is marked [x]")
    return options


def _verdict(option: Option) -> str:
    return "Right." if option.right else "Not so."


class Question(SphinxDirective):
    """Shows a question as a group of radio buttons; without JavaScript the reasons unfold."""

    required_arguments = 1
    final_argument_whitespace = True
    has_content = True

    def run(self) -> list[nodes.Node]:
        try:
            options = read_options(self.content)
        except QuestionError as error:
            warn(Kind.QUESTION, str(error), (self.env.docname, self.lineno + error.line))
            return []
        name = f"question-{hashlib.sha256(self.arguments[0].encode()).hexdigest()[:8]}"
        return [
            _html(f'<fieldset class="question panel" id="{name}"><legend>'),
            *self._inline(self.arguments[0], self.lineno),
            _html("</legend>"),
            *(node for number, option in enumerate(options) for node in self._choice(name, number, option)),
            _html('<div role="status"></div><details><summary>The answers, and why they tempt</summary><ul>'),
            *(node for option in options for node in self._reason(option)),
            _html("</ul></details></fieldset>"),
        ]

    def _choice(self, name: str, number: int, option: Option) -> list[nodes.Node]:
        right = " data-right" if option.right else ""
        button = f'<label><input type="radio" name="{name}" value="{number}" autocomplete="off"{right}><span>'
        return [_html(button), *self._inline(option.text, self.lineno + option.line), _html("</span></label>")]

    def _reason(self, option: Option) -> list[nodes.Node]:
        line = self.lineno + option.line
        verdict = _html(f': <span class="reason"><strong>{_verdict(option)}</strong> ')
        return [
            _html("<li>"),
            *self._inline(option.text, line),
            verdict,
            *self._inline(option.reason, line + 1),
            _html("</span></li>"),
        ]

    def _inline(self, text: str, line: int) -> list[nodes.Node]:
        return [nodes.inline("", "", *self.parse_inline(text, lineno=line)[0])]


def _html(text: str) -> nodes.raw:
    return nodes.raw("", text, format="html")


def _bring_script(app: Sphinx, docname: str, template: str, context: dict[str, Any], doctree: nodes.document) -> None:
    if 'class="question' in context.get("body", ""):
        app.add_js_file("exercises/questions.js", loading_method="defer")


def setup(app: Sphinx) -> None:
    """Register the directive; pages with a question get its script."""
    app.add_directive("question", Question)
    app.connect("html-page-context", _bring_script)
