"""Test what the index of the search holds: each place with its anchor, keywords and text."""

import json

import pytest

from flopsite.search.index import typed
from tests.support.small_book import HEAD, SmallBook

LECTURE = f"""{HEAD}# Lecture

The beginning.

## First section

<!-- search: adapters, low rank -->

What it says of $2BDK$, $\\sqrt D$ and `code` {{cite}}`someone2020something`; [](lecture.md) has more.

```python
not_searched = True
```

### Within

Deeper.

<figure class="picture" id="picture-a" role="group" aria-label="Picture: What &gt; is">
</figure>

```{{code-cell}}
from flopbook.predict.axes import B, D
from flopbook.teaching.formulas import boxed

boxed("sum", "A sum", B * D, when="all are added", sizes=dict(B=2, D=3), counted=6)
```

## Words

{{.glossary}}
Ridge
: Where the roof bends.

```{{bibliography}}
```
"""
SOURCE = "@misc{someone2020something, author = {Someone}, title = {Something}, year = {2020}}"


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    book = SmallBook(tmp_path_factory.mktemp("search"))
    for path in (book.folder / "lectures").glob("*.md"):
        path.unlink()
    book.write("lectures/lecture.md", LECTURE)
    book.write("references.bib", SOURCE)
    course = (book.folder / "course.yml").read_text().replace("needs: []", "needs: [], keywords: [tensor]")
    book.write("course.yml", f"{course}absent: [FSDP]\n")
    build = book.build()
    assert build.code == 0, build.text
    script = (book.folder / "_build" / "html" / "search-index.js").read_text()
    return json.loads(script.removeprefix("flopbook.searchIndex = ").removesuffix(";\n"))


def test_each_section_has_its_own_text_and_keywords(index):
    assert index["places"] == [
        {
            "kind": "lecture",
            "title": "1 Lecture",
            "text": "The beginning.",
            "address": "lectures/lecture.html",
            "words": "Lecture, tensor",
        },
        {
            "kind": "section",
            "title": "First section",
            "words": "adapters, low rank",
            "text": "What it says of 2BDK, … and code; Lecture has more.",
            "address": "lectures/lecture.html#first-section",
            "of": "1 Lecture",
        },
        {
            "kind": "section",
            "title": "Within",
            "text": "Deeper.",
            "address": "lectures/lecture.html#within",
            "of": "1 Lecture",
        },
        {
            "kind": "picture",
            "title": "What > is",
            "words": "picture",
            "address": "lectures/lecture.html#picture-a",
            "of": "1 Lecture",
        },
        {
            "kind": "box",
            "title": "A sum",
            "words": "BD",
            "text": "Holds when all are added.",
            "address": "lectures/lecture.html#formula-sum",
            "of": "1 Lecture",
        },
        {"kind": "section", "title": "Words", "address": "lectures/lecture.html#words", "of": "1 Lecture"},
        {
            "kind": "term",
            "title": "Ridge",
            "text": "Where the roof bends.",
            "address": "lectures/lecture.html#term-Ridge",
            "of": "1 Lecture",
        },
    ]


def test_the_index_says_what_the_book_lacks(index):
    assert index["absent"] == ["FSDP"]


@pytest.mark.parametrize(
    "latex, text", [(r"2 B D K", "2BDK"), (r"x_{1} \left(y\right)", "x1(y)"), (r"\frac{1}{2}", "")]
)
def test_a_formula_is_found_as_one_types_it(latex, text):
    assert typed(latex) == text
