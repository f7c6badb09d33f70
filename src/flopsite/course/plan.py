"""Make what lecturers need: a plan of weeks from the lectures' minutes, and a list of all pictures."""

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform

from flopsite.book import Book, FilledLater, FilledLaterDirective
from flopsite.course.outline import Course, Page
from flopsite.web.tables import table

PLAN = "week-plan"
PICTURES = "picture-list"
WEEK = 90  # minutes
_TAUGHT = 1.5  # times the minutes to read: half as long again for a lecture's questions


def weeks(course: Course) -> list[list[Page]]:
    """Return the lectures of each week, in order, as many as its minutes hold; a longer one has a week alone."""
    planned: list[list[Page]] = []
    for lecture in course.lectures:
        if planned and sum(minutes(one) for one in [*planned[-1], lecture]) <= WEEK:
            planned[-1].append(lecture)
        else:
            planned.append([lecture])
    return planned


def minutes(lecture: Page) -> int:
    """Return how long a lecture takes to teach."""
    return round(_TAUGHT * (lecture.minutes or 0))


def labs(course: Course, taught: set[str], before: set[str]) -> Iterator[Page]:
    """Yield the labs whose needs are all taught, and were not before."""
    for page in course.pages.values():
        if page.kind == "lab" and taught.issuperset(page.needs) and not before.issuperset(page.needs):
            yield page


class FillPlan(SphinxPostTransform):
    """Replaces `{week-plan}` by a table with the sheets of each lecture, and `{picture-list}` by links."""

    default_priority = 5

    def run(self, **kwargs: Any) -> None:
        course = Book.of(self.env).course
        for place in list(self.document.findall(FilledLater)):
            if place["filling"] == PLAN:
                head = ["Week", "Lecture", "Minutes", "On paper", "At home"]
                place.replace_self(table(head, list(self._rows(course))))
            elif place["filling"] == PICTURES:
                pictures = (picture for page in course.pages.values() for picture in self._pictures(page))
                place.replace_self(nodes.bullet_list("", *pictures))

    def _pictures(self, page: Page) -> Iterator[nodes.list_item]:
        for place in Book.of(self.env).data["places"][page.docname]:
            if place["kind"] == "picture":
                link = self._link(page, place["title"], f"#{place['anchor']}")
                yield nodes.list_item("", nodes.paragraph("", "", link, nodes.Text(f", in {page.heading}")))

    def _rows(self, course: Course) -> Iterator[list[list[nodes.Node]]]:
        taught: set[str] = set()
        for number, lectures in enumerate(weeks(course), 1):
            before, taught = taught, taught | {lecture.docname for lecture in lectures}
            for lecture in lectures:
                home = list(labs(course, taught, before)) if lecture is lectures[-1] else []
                yield [
                    [nodes.Text(str(number) if lecture is lectures[0] else "")],
                    [self._link(lecture, lecture.heading)],
                    [nodes.Text(str(minutes(lecture)))],
                    [
                        self._link(lecture, "handout", "?handout"),
                        nodes.Text(", "),
                        self._link(lecture, "solutions", "#exercises"),
                    ],
                    [
                        part
                        for lab in home
                        for part in ([nodes.Text(", ")] if lab is not home[0] else []) + [self._link(lab, lab.short)]
                    ],
                ]

    def _link(self, page: Page, text: str, more: str = "") -> nodes.reference:
        address = self.app.builder.get_relative_uri(self.env.docname, page.docname)
        return nodes.reference("", text, internal=True, refuri=address + more)


def setup(app: Sphinx) -> None:
    """Register the directives, and the transform that replaces them."""
    app.add_directive(PLAN, FilledLaterDirective)
    app.add_directive(PICTURES, FilledLaterDirective)
    app.add_post_transform(FillPlan)
