"""Extend Sphinx with what the site needs, one folder for each feature.

Of flopbook, flopsite imports the predicting side alone; a page's cells run in a kernel of their own.
"""

import sys

# jsonschema, which nbformat imports, would take a second for a grammar of addresses, and no notebook holds addresses.
sys.modules.setdefault("rfc3987_syntax", None)  # type: ignore[arg-type]

from myst_nb.core.render import load_mime_renders  # noqa: E402
from sphinx.application import Sphinx  # noqa: E402

from flopsite import book, static  # noqa: E402
from flopsite.calculators import renderer as calculators  # noqa: E402
from flopsite.course import dropdown, needs, order, page_line, plan, sidebar, status  # noqa: E402
from flopsite.course import map as course_map  # noqa: E402
from flopsite.execution import reader  # noqa: E402
from flopsite.exercises import forms, questions  # noqa: E402
from flopsite.live import mark  # noqa: E402
from flopsite.math import boxes, katex  # noqa: E402
from flopsite.pictures import renderer as pictures  # noqa: E402
from flopsite.search import index as search  # noqa: E402
from flopsite.takeaway import downloads, notebooks, wheel  # noqa: E402
from flopsite.web import accessibility, autodoc, inline_svg, llms, metadata, missing_page, old_addresses  # noqa: E402

#: In the order of registration, in which Sphinx calls the functions that listen to one event.
PARTS = (
    book,
    static,
    order,
    accessibility,
    reader,
    notebooks,
    needs,
    page_line,
    sidebar,
    course_map,
    plan,
    downloads,
    dropdown,
    boxes,
    calculators,
    forms,
    questions,
    pictures,
    mark,
    autodoc,
    old_addresses,
    metadata,
    missing_page,
    llms,
    search,
    status,
    katex,
    wheel,
)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register every part with Sphinx."""
    for part in PARTS:
        part.setup(app)
    # Not by an entry point of the package, which would also change every other book of the environment.
    load_mime_renders().extend(
        [
            boxes.FormulaRenderer,
            calculators.CalculatorRenderer,
            forms.ExerciseRenderer,
            inline_svg.FigureRenderer,
            pictures.PictureRenderer,
        ]
    )
    # Pages with torch use all cores already, and progress is printed in order.
    return {"parallel_read_safe": False, "parallel_write_safe": True}
