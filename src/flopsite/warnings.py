"""Give warnings, each of one kind; every warning fails the build."""

from enum import StrEnum
from typing import Any

from sphinx.util import logging

_LOG = logging.getLogger(__name__)


class Kind(StrEnum):
    """Names the kinds of warnings; Sphinx's `suppress_warnings` calls each `flopsite.KIND`."""

    ALT = "alt"  # a figure without a text alternative
    CALCULATOR = "calculator"  # a calculator that is twice on a page
    COURSE = "course"  # a page that is not what `course.yml` says
    EXECUTION = "execution"  # a code cell that fails, or writes to stderr
    EXERCISE = "exercise"  # an exercise without a title
    FORMULA = "formula"  # two boxed formulas of one name
    MATH = "math"  # LaTeX that KaTeX cannot read
    QUESTION = "question"  # a `{question}` that is not complete


def warn(kind: Kind, message: str, location: Any = None) -> None:
    """Warn about a place: a node, or a page's name and a line."""
    _LOG.warning("%s", message, type="flopsite", subtype=kind, location=location)
