"""What the site adds to Sphinx: executed pages, boxed formulas, calculators, figures, notebooks to take away.

Of flopbook it imports the predicting side alone; a page's cells run in a kernel of their own.
"""

import sys

# jsonschema, which nbformat brings along, would spend a second on a grammar of addresses, which no notebook holds.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from myst_nb.core.render import load_mime_renders  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from flopsite import (  # noqa: E402
    access,
    aids,
    book,
    calculators,
    course,
    downloads,
    exercises,
    figures,
    folding,
    formulas,
    live,
    notebooks,
    pages,
    quizzes,
    reference,
    sharing,
    status,
    typesetting,
    wheel,
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register every part with Sphinx."""
    for part in (
        book,
        access,
        pages,
        notebooks,
        aids,
        course,
        downloads,
        folding,
        formulas,
        calculators,
        exercises,
        quizzes,
        live,
        reference,
        sharing,
        status,
        typesetting,
        wheel,
    ):
        part.setup(app)
    # An entry point, by which myst-nb finds renderers, would hold for every other book in the environment too.
    load_mime_renders().extend([exercises.ExerciseRenderer, figures.FigureRenderer, formulas.FormulaRenderer])
    # Pages with torch compete for the cores anyway, and progress is told in order.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
