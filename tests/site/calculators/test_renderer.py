"""Test that each lecture has a calculator, and that a page has none twice."""

import re

from tests.support.small_book import HEAD

TWICE = """\
# Twice

```{code-cell}
from IPython.display import display
shown = {"application/vnd.flopbook.calculator+json": dict(name="rows", script="", panel=["<p>", ["B", "B"], "</p>"])}
display(shown, raw=True)
display(shown, raw=True)
```
"""


def test_a_calculator_that_is_twice_on_a_page_fails_the_build_by_name(book):
    book.write("lectures/twice.md", HEAD + TWICE)
    build = book.build()
    assert build.code != 0
    said = r"lectures/twice\.md:\d+: .*a calculator named 'rows' is on this page already: leave one of the two out"
    assert re.search(said, build.text), build.text


def test_every_lecture_has_a_calculator(site, pages):
    lectures = [name for name in pages if name.startswith("lectures/")]
    assert [name for name in lectures if 'class="panel calculator"' not in (site / name).read_text("utf-8")] == []
