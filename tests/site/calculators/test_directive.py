"""Test that a faulty `{calculator}` fails the build with its page and line."""

import re

from tests.support.small_book import HEAD

BOX = """\
```{{code-cell}}
from IPython.display import display
display({{'application/vnd.flopbook.formula+json': dict(name='{name}', title='T', latex='x', when='y', sizes='z', \
value='1', witnesses=['counted'], start=dict(B=1), expression="Symbol('B')")}}, raw=True)
```
"""
#: The text of a page, whose name is that of its box; the line of the fault; and what is said of it.
FAULTS = {
    "letter": (
        BOX + "\n```{{calculator}} letter\nB: at 2\nQ: at 3\n```",
        12,
        "'Q: at 3': Q is in no formula here: those have B",
    ),
    "range": (
        BOX + "\n```{{calculator}} range\n:unit: B\n\nB: two to 3\n```",
        12,
        "'B: two to 3': this is not a size: write it like",
    ),
    "name": (
        BOX + "\n```{{calculator}} nam\n```",
        12,
        "no formula named 'nam' is boxed above on this page: those are name",
    ),
    "below": (
        "```{{calculator}} below\n```\n\n" + BOX,
        7,
        "no formula named 'below' is boxed above on this page: those are none",
    ),
}


def test_a_calculator_that_cannot_be_read_fails_the_build_by_name(book):
    for name, (text, _, _) in FAULTS.items():
        book.write(f"lectures/{name}.md", f"{HEAD}# A page\n\n{text.format(name=name)}\n")
    build = book.build()
    assert build.code != 0
    for name, (_, line, complaint) in FAULTS.items():
        assert re.search(rf"lectures/{name}\.md:{line}: .*calculator: {re.escape(complaint)}", build.text), build.text


def test_every_lecture_has_a_calculator(site, pages):
    lectures = [name for name in pages if name.startswith("lectures/")]
    assert [name for name in lectures if 'class="panel calculator"' not in (site / name).read_text("utf-8")] == []
