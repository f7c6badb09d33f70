"""Estimate how long a page takes to read."""

import re

from docutils import nodes

_WORDS_PER_MINUTE = 200
_SECONDS_PER_FORMULA = 5  # to read a formula, and not to understand it
_SECONDS_PER_CODE_LINE = 3


def reading_minutes(page: nodes.document) -> int:
    """Estimate the minutes to read a page's words, formulas and code once."""
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
