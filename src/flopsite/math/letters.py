"""Explain the letters of a page's formulas, on hover and once as a list.

A page gives letters a meaning of its own in its front matter: `flopbook: {letters: {F: ...}}`. A letter with an empty
meaning is left to the page's text.
"""

import re

from sphinx.environment import BuildEnvironment

from flopbook.predict.axes import MEANING
from flopsite.book import Book

_SET = re.compile(r'<span class="mord mathnormal(?: mtight)? letter"[^>]*>(\w)')


def meanings(env: BuildEnvironment, docname: str) -> dict[str, str]:
    """Return what each letter means on a page."""
    own = Book.of(env).data["settings"].get(docname, {}).get("letters", {})
    return {letter: meaning for letter, meaning in {**MEANING, **own}.items() if meaning}


def letters_in(body: str) -> list[str]:
    """Return the letters that were marked when a page's formulas were set.

    >>> letters_in('2<span class="mord mathnormal letter" style="margin-right:0.05017em;">B</span>')
    ['B']
    """
    return sorted(set(_SET.findall(body)))
