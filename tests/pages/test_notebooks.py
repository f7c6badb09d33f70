"""Test the notebooks that readers take away: complete, readable anywhere, reproducible."""

import posixpath
import re
import sys
import tempfile
from functools import cache
from os.path import relpath
from pathlib import Path

import jupytext
import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from flopsite.execution.cache_key import data_of, imported_modules
from flopsite.takeaway.markdown import plain_markdown
from flopsite.takeaway.notebooks import IMPORTED
from tests.conftest import ROOT

MYST = re.compile(r"^[`:]{3,}\{|\{[a-z:]+\}`|^\([\w-]+\)=", re.MULTILINE)
PAGES = [
    ROOT / "index.md",
    *(path for part in ("lectures", "notebooks", "reference") for path in ROOT.glob(f"{part}/*.md")),
]
NAMES = [str(path.relative_to(ROOT).with_suffix("")) for path in PAGES if "{code-cell}" in path.read_text("utf-8")]


@pytest.fixture(scope="module")
def notebooks(site):
    folder = site / "notebooks"
    return {str(path.relative_to(folder).with_suffix("")): nbformat.read(path, 4) for path in folder.rglob("*.ipynb")}


@cache
def page_of(name: str) -> nbformat.NotebookNode:
    """Read a page once for all tests: it takes long."""
    return jupytext.read(ROOT / f"{name}.md")


def code(notebook) -> list[str]:
    return [cell.source for cell in notebook.cells if cell.cell_type == "code"]


def test_every_notebook_holds_the_code_of_its_page(notebooks):
    assert notebooks
    for name, notebook in notebooks.items():
        nbformat.validate(notebook)
        cells = code(notebook)
        own = code(page_of(name))
        assert cells[-len(own) :] == own, name
        assert all("unpacked into a temporary folder" in cell for cell in cells[: -len(own)])


def test_every_lecture_and_lab_is_a_notebook(notebooks):
    pages = {
        f"{path.parent.name}/{path.stem}"
        for folder in ("lectures", "notebooks")
        for path in (ROOT / folder).glob("*.md")
    }
    assert pages <= set(notebooks)


def test_no_myst_is_left_in_a_notebook(notebooks):
    left = {
        name: [found for cell in notebook.cells if cell.cell_type == "markdown" for found in MYST.findall(cell.source)]
        for name, notebook in notebooks.items()
    }
    assert left == {name: [] for name in notebooks}


def test_every_link_of_a_notebook_leads_to_a_notebook(notebooks):
    led = {
        posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
        for name, notebook in notebooks.items()
        for cell in notebook.cells
        if cell.cell_type == "markdown"
        for target in re.findall(r"\]\((?!\w+:)([^)]+)\.(?:ipynb|md)", cell.source)
    }
    assert led
    assert led <= set(notebooks)


def test_citations_name_the_author_and_the_year(notebooks):
    text = "\n".join(cell.source for cell in notebooks["lectures/backward"].cells if cell.cell_type == "markdown")
    assert "(Hobbhahn and Sevilla, 2021)" in text


def test_what_the_site_folds_is_folded(notebooks):
    for notebook in notebooks.values():
        for cell in notebook.cells:
            folded = {"hide-input", "hide-cell", "remove-cell"} & set(cell.metadata.get("tags", []))
            assert not folded or cell.metadata.jupyter.source_hidden


def test_cells_are_known_by_their_content(notebooks):
    for notebook in notebooks.values():
        ids = [cell.id for cell in notebook.cells]
        assert len(ids) == len(set(ids))
        assert all(re.fullmatch(r"[0-9a-f]{12}-\d+", name) for name in ids)


def test_a_page_imports_what_its_notebook_installs():
    with_package = {"flopbook", "IPython", "matplotlib", "numpy", "sympy", "torch", *IMPORTED}
    for name in NAMES:
        page = page_of(name)
        source = "\n".join(TransformerManager().transform_cell(cell) for cell in code(page))
        imported = {module.partition(".")[0] for module in imported_modules(source, "")}
        beside = {part for file in data_of(page) for part in Path(file).parts}
        assert imported <= with_package | sys.stdlib_module_names | beside, name


def test_a_notebook_unpacks_the_data_that_its_page_names(notebooks, tmp_path, monkeypatch):
    named = {name: files for name in NAMES if (files := data_of(page_of(name)))}
    assert named
    for name, files in named.items():
        folder = tmp_path / name
        folder.mkdir(parents=True)
        monkeypatch.setattr(tempfile, "tempdir", str(folder))
        monkeypatch.chdir(folder)
        exec(code(notebooks[name])[0], {})
        for file in files:
            assert Path(relpath(ROOT / file, (ROOT / name).parent)).read_bytes() == (ROOT / file).read_bytes(), name


MEASURES = re.compile(
    r"\b(time_step|time_modules|profile_time|perf_counter|monotonic|timeit|FlopMeter|Report\.measure)\b"
)


def test_a_page_that_measures_seconds_runs_alone():
    timed, marked = set(), set()
    for path in PAGES:
        page = page_of(str(path.relative_to(ROOT).with_suffix("")))
        if any(MEASURES.search(cell) for cell in code(page)):
            timed.add(path.stem)
        if page.metadata.get("flopbook", {}).get("timed"):
            marked.add(path.stem)
    assert timed == marked != set()


@pytest.mark.parametrize(
    "myst, plain",
    [
        (":::{note}\nText.\n:::", "> **Note**\n>\n> Text."),
        ("````{admonition} A {math}`B`\n```python\n1\n```\n````", "> **A $B$**\n>\n> ```python\n> 1\n> ```"),
        (":::{dropdown} Solution\n:open:\nSo.\n:::", "<details>\n<summary>Solution</summary>\n\nSo.\n\n</details>"),
        ("```{math}\n:label: here\na\n```", "$$\na\n$$"),
        ("```{code-block} console\n$ make\n```", "```console\n$ make\n```"),
        ("```python\n{math}`kept`\n```", "```python\n{math}`kept`\n```"),
        ("(target)=\n% a comment\ntext", "text"),
        ("Term\n: meaning", "**Term:** meaning"),
        (
            "see {ref}`here <there>`, [page](01-page.md#part), [](02-page.md), [below](#part)",
            "see <ref here <there>>, <doc page <01-page>>, <doc  <02-page>>, below",
        ),
        ("```{toctree}\nindex\n```", ""),
    ],
)
def test_directives_and_roles_become_plain(myst, plain):
    assert plain_markdown(myst, lambda role, content: f"<{role} {content}>") == plain
