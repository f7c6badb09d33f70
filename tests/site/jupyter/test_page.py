"""Test that what is written in Jupyter goes back to the page's text, and nothing else of the text changes."""

import json
import re
from functools import cache

import nbformat
import pytest

from flopsite.execution.cache_key import code_cells
from flopsite.jupyter.page import ChangedFrameError, read, write
from tests.conftest import ROOT

PAGES = sorted(path for part in (".", "lectures", "notebooks", "reference") for path in (ROOT / part).glob("*.md"))
PAGE = """\
---
kernelspec: {name: python3}
flopbook: {timed: true}
---

# A page

% a comment
With {math}`B` rows ({cite}`key`), see [below](#below).

:::{dropdown} Answer
Two of them.
:::

:::{question} How many?
[ ] one
: It is one less.

[x] two
: One and one.
:::

```{code-cell}
:tags: [hide-input]
---
mystnb: {figure: {name: plot}}
---

2 + 2
```

+++

Between.

+++

The end.
"""


def roles(role: str, content: str) -> str:
    return f"the {role} of {content}"


@cache
def sent(text: str) -> str:
    """Return the JSON that a browser gets of a page."""
    return json.dumps(read(text, roles))


def opened(text: str):
    """Open a page as a browser gets it."""
    return nbformat.from_dict(json.loads(sent(text)))


def edited(number: int, old: str, new: str) -> str:
    page = opened(PAGE)
    assert old in page.cells[number].source
    page.cells[number].source = page.cells[number].source.replace(old, new)
    return write(page)


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_a_page_that_is_opened_and_saved_is_the_same_to_the_byte(path):
    text = path.read_bytes().decode()
    page = opened(text)
    nbformat.validate(page)
    assert write(page) == text


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_an_edited_cell_changes_its_own_lines_and_no_other(path):
    text = path.read_text("utf-8")
    page = opened(text)
    for cell in page.cells:
        words = cell.source.split("\n")[-1]
        cell.source += " # and more" if words and not words.startswith(("<", "$$", "`", ">", "|")) else ""
    written = write(page)
    assert re.sub(r" # and more\b", "", written) == text
    assert [cell.source for cell in read(written, roles).cells] == [cell.source for cell in page.cells]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_cells_of_a_notebook_are_those_of_the_site(path):
    page = opened(path.read_text("utf-8"))
    left = [cell.source for cell in page.cells if re.search(r"^[`:]{3,}\{", cell.source, re.MULTILINE)]
    assert left == [] or path.stem == "CONTRIBUTING"
    for cell in code_cells(page):
        assert cell.metadata.get("jupyter", {}).get("source_hidden", False) == bool(
            {"hide-input", "remove-input", "hide-cell", "remove-cell"} & set(cell.metadata.get("tags", []))
        )


def test_a_reader_sees_neither_directive_nor_answer():
    prose = opened(PAGE).cells[0].source
    assert prose == (
        "# A page\n\nWith $B$ rows (the cite of key), see below.\n\n"
        "<details>\n<summary>Answer</summary>\n\nTwo of them.\n\n</details>\n\n"
        "**How many?**\n\n"
        "(a) one\n\n<details>\n<summary>Is it (a)?</summary>\n\n*Not so.* It is one less.\n\n</details>\n\n"
        "(b) two\n\n<details>\n<summary>Is it (b)?</summary>\n\n*Right.* One and one.\n\n</details>"
    )


@pytest.mark.parametrize(
    "number, old, new, line",
    [
        (0, "# A page", "# My page", "# My page"),
        (0, "rows (", "rows and columns (", "With {math}`B` rows and columns ({cite}`key`), see [below](#below)."),
        (0, "$B$", "$D$", "With $D$ rows ({cite}`key`), see [below](#below)."),
        (0, "Two of them.", "Three of them.\nOr four.", "Three of them.\nOr four.\n:::"),
        (0, ">Answer<", ">The answer<", ":::{dropdown} The answer"),
        (0, "one less", "one too few", ": It is one too few."),
        (1, "2 + 2", "2 + 3\n4", "2 + 3\n4\n```"),
        (3, "The end.", "The end. :::{tip}\nNew.\n:::", "The end. :::{tip}\nNew.\n:::"),
    ],
)
def test_what_is_edited_stands_in_the_text_and_the_rest_is_as_it_was(number, old, new, line):
    written = edited(number, old, new)
    assert f"\n{line}\n" in written
    kept = [one for one in PAGE.splitlines() if one not in written.splitlines()]
    assert len(kept) <= 1


def test_a_fold_can_be_removed_as_a_whole():
    fold = "<details>\n<summary>Answer</summary>\n\nTwo of them.\n\n</details>\n\n"
    assert edited(0, fold, "") == PAGE.replace(":::{dropdown} Answer\nTwo of them.\n:::\n\n", "")


@pytest.mark.parametrize("old, new", [("<details>", "<p>"), ("(a) one", "one"), ("*Right.*", "Right,")])
def test_a_changed_frame_is_refused_with_its_line(old, new):
    with pytest.raises(ChangedFrameError, match=r"undo that change, and make it in the page's text file"):
        edited(0, old, new)


def test_cells_can_be_added_removed_and_moved():
    page = opened(PAGE)
    page.cells.insert(1, nbformat.v4.new_markdown_cell("New prose."))
    page.cells.insert(3, nbformat.v4.new_code_cell("new = 1", metadata={"tags": ["remove-cell"]}))
    del page.cells[4]
    written = write(page)
    assert ":::\n\n+++\n\nNew prose.\n\n```{code-cell}" in written
    assert "```\n\n```{code-cell}\n:tags: [remove-cell]\n\nnew = 1\n```\n\nThe end.\n" in written
    again = read(written, roles)
    assert [cell.source for cell in again.cells] == [cell.source for cell in page.cells]


def test_changed_tags_are_written():
    page = opened(PAGE)
    page.cells[1].metadata.tags = ["hide-cell"]
    assert "hide-cell" in write(page)


def test_folding_and_running_leave_no_trace_in_the_text():
    page = opened(PAGE)
    page.cells[1].metadata.jupyter = {"source_hidden": False}
    page.cells[1].metadata.trusted = True
    page.cells[1].execution_count = 3
    page.cells[1].outputs = [nbformat.v4.new_output("stream", text="4")]
    assert write(page) == PAGE
