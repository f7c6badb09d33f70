"""Extend Sphinx with every part of the site."""

from myst_nb.core.render import load_mime_renders
from sphinx.application import Sphinx

from flopsite import book, static
from flopsite.calculators import renderer as calculators
from flopsite.course import dropdown, needs, order, page_line, plan, sidebar, status
from flopsite.course import map as course_map
from flopsite.execution import reader
from flopsite.exercises import forms, questions
from flopsite.live import mark
from flopsite.math import boxes, katex
from flopsite.pictures import renderer as pictures
from flopsite.search import index as search
from flopsite.takeaway import downloads, notebooks, wheel
from flopsite.web import accessibility, autodoc, inline_svg, llms, metadata, missing_page, old_addresses, sorting

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
    sorting,
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
