"""Test on a small book what a build executes again, and how it fails."""

import re
import shutil
import signal
import time
from copy import copy

import jupytext
import pytest

from flopsite.__main__ import stamp
from flopsite.execution import cache_key
from flopsite.execution.cache_key import page_inputs, page_key
from tests.support.small_book import ALL, FILES, HEAD


@pytest.fixture
def sources(built, tmp_path):
    """Copy what the small book is made of, for tests that build nothing."""
    book = copy(built)
    book.folder = tmp_path / "book"
    shutil.copytree(built.folder, book.folder, symlinks=True, ignore=shutil.ignore_patterns("_build"))
    return book


@pytest.mark.parametrize(
    "name, addition, expected",
    [
        ("lectures/direct.md", "\nMore prose.\n", set()),
        ("lectures/direct.md", "\n```{code-cell}\n1 + 1\n```\n", {"lectures/direct"}),
        ("src/flopbook/one.py", "more = 1\n", {"lectures/direct", "lectures/indirect"}),
        ("src/flopbook/two.py", "more = 1\n", {"lectures/indirect"}),
        ("src/flopbook/__init__.py", "more = 1\n", ALL),
        ("reference/data/table.json", " ", {"lectures/unrelated"}),
        ("requirements.lock", "two==2\n", ALL),
        ("references.bib", "% nothing\n", set()),
    ],
)
def test_a_change_executes_what_it_affects_and_nothing_else(sources, name, addition, expected):
    before = keys(sources)
    sources.append(name, addition)
    assert {page for page, key in keys(sources).items() if key != before[page]} == expected


def keys(book):
    """Return the key of each page's results; what is kept from the last reading of a file is dropped."""
    cache_key._imported_by.cache_clear()
    pages = {f"lectures/{path.stem}": jupytext.read(path) for path in book.folder.glob("lectures/*.md")}
    return {name: page_key(page, page_inputs(page, book.folder)) for name, page in pages.items()}


def test_what_a_change_affects_is_executed_and_nothing_else(book):
    book.append("src/flopbook/one.py", "more = 1\n")
    book.append("lectures/unrelated.md", "\nMore prose.\n")
    build = book.build()
    assert build.code == 0, build.text
    assert build.executed == {"lectures/direct", "lectures/indirect"}


def test_a_site_that_is_up_to_date_is_left_as_it_is(book):
    build = book.build()
    assert build.code == 0
    assert "The site is up to date" in build.text


def test_a_site_without_its_first_page_is_built_again(book):
    (book.folder / "_build" / "html" / "index.html").unlink()
    assert "The site is built" in book.build().text


@pytest.mark.parametrize("name", ["conf.py", "src/flopsite/web/static/flopsite.css", "a file of its own.txt"])
def test_any_other_file_than_a_test_makes_the_site_anew(sources, name):
    before = stamp(sources.folder)
    sources.write(name, "changed")
    assert stamp(sources.folder) != before


@pytest.mark.parametrize("name", ["tests/test_one.py", "_build/complete", ".git/index", ".#a lock of an editor"])
def test_what_the_site_is_not_made_of_is_not_read(sources, name):
    before = stamp(sources.folder)
    sources.write(name, "changed")
    assert stamp(sources.folder) == before


def test_a_setting_of_the_environment_makes_the_site_anew(sources, monkeypatch):
    before = stamp(sources.folder)
    monkeypatch.setenv("FLOPBOOK_URL", "https://example.org/")
    assert stamp(sources.folder) != before


BOX = (
    "\n```{code-cell}\nfrom IPython.display import display\n"
    "display({'application/vnd.flopbook.formula+json': dict(name='same', title='T', latex='x', when='y', "
    "sizes='z', value='1', witnesses=['counted'])}, raw=True)\n```\n"
)

CALCULATOR_TWICE = """\
```{code-cell}
from IPython.display import display
shown = {"application/vnd.flopbook.calculator+json": dict(name="rows", script="", panel=["<p>", ["B", "B"], "</p>"])}
display(shown, raw=True)
display(shown, raw=True)
```"""

FAULTS = {
    "reference": ("{ref}`nowhere`", "undefined label: 'nowhere'"),
    "formula": ("$\\frac{1}$", "KaTeX parse error"),
    "stderr": ("```{code-cell}\nimport sys\nprint('oh', file=sys.stderr)\n```", "the cell writes to stderr"),
    "figure": ("```{code-cell}\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);\n```", "image: {alt: ...}"),
    "question": (
        ":::{question} Why?\n[x] So.\n: It is.\n\n[ ] No.\n:::",
        "11: WARNING: the answer 'No.' has no reason",
    ),
    "exercise": (
        "```{code-cell}\nfrom IPython.display import display\n"
        "display({'application/vnd.flopbook.exercise+json': dict(right='1')}, raw=True)\n```",
        "this exercise has no title",
    ),
    "calculator": (
        CALCULATOR_TWICE,
        "9: WARNING: a calculator named 'rows' is on this page already: leave one of the two out",
    ),
    "twice": (BOX, "a formula named 'same' is boxed already on lectures/box"),
    "kernel": ("```{code-cell}\nimport os\nos.kill(os.getpid(), 9)\n```", "code cell 1 failed"),
}


def test_faults_fail_every_build_and_are_named_until_they_are_mended(book):
    """Faults of pages, a broken module, and a formula that two pages box."""
    for name, (text, _) in FAULTS.items():
        book.write(f"lectures/{name}.md", f"{HEAD}# A fault\n\n{text}\n")
    book.write("lectures/box.md", f"{HEAD}# A box\n{BOX}")
    book.write("src/flopbook/one.py", "raise RuntimeError('no value')\n")
    for build in (book.build(), book.build()):
        assert build.code != 0
        for name, (_, complaint) in FAULTS.items():
            assert re.search(rf"lectures/{name}\.md:.*{re.escape(complaint)}", build.text), build.text
        last = build.text[build.text.index("The site was not built") :]
        assert "lectures/direct.md:7: code cell 1 failed: RuntimeError: no value" in last
        assert "    from flopbook.one import value" in last
        assert "lectures/indirect.md:7: code cell 1 failed: RuntimeError: no value" in last
    for name in (*FAULTS, "box"):
        (book.folder / "lectures" / f"{name}.md").unlink()
    book.list_lectures()
    book.write("src/flopbook/one.py", FILES["src/flopbook/one.py"])
    assert book.build().code == 0


@pytest.mark.parametrize(
    "text, complaint",
    [
        (
            "---\nfile_format: mystnb\nflopbook:\n  data: [none.json]\n---\n\n```{code-cell}\n1\n```\n",
            "not there: .*none.json",
        ),
        (f"{HEAD}# A cell\n\n```{{code-cell}}\n:tags: [\n1\n```\n", "could not be read"),
    ],
)
def test_a_page_that_cannot_be_read_is_named(book, text, complaint):
    book.write("lectures/direct.md", text)
    build = book.build()
    assert build.code != 0
    assert re.search(f"The site was not built. lectures/direct.md.*{complaint}", build.text), build.text
    assert "Traceback" not in build.text


def test_a_box_moves_to_a_page_that_is_read_before(book):
    text = (book.folder / "lectures/direct.md").read_text()
    book.append("lectures/unrelated.md", BOX)
    assert book.build().code == 0
    book.write("lectures/unrelated.md", FILES["lectures/unrelated.md"])
    book.write("lectures/direct.md", text + BOX)
    build = book.build()
    assert build.code == 0, build.text


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_build_goes_on_where_it_stopped(book, how):
    book.append("lectures/direct.md", "\n```{code-cell}\n1\n```\n")
    hold, reached = book.folder / "hold", book.folder / "reached"
    hold.touch()
    waits = f"while pathlib.Path('{hold}').exists():\n    time.sleep(0.1)"
    waits = f"import pathlib, time\npathlib.Path('{reached}').touch()\n{waits}"
    book.append("lectures/unrelated.md", f"\n```{{code-cell}}\n{waits}\n```\n")
    process = book.start()
    assert process.stdout.readline().startswith("[1/2] lectures/direct")
    while not reached.exists():
        time.sleep(0.1)
    process.send_signal(how)
    process.communicate(timeout=600)
    assert process.returncode != 0
    hold.unlink()
    build = book.build()
    assert build.code == 0, build.text
    assert build.executed == {"lectures/unrelated"}


def test_a_page_that_is_gone_leaves_nothing_behind(book):
    (book.folder / "lectures" / "direct.md").unlink()
    book.list_lectures()
    assert book.build().code == 0
    for kept in ("html", "pages"):
        assert [path.name for path in (book.folder / "_build" / kept).rglob("direct.*")] == []


def test_a_pdf_is_offered_until_a_page_changes(book):
    site = book.folder / "_build" / "html"
    pdf = site / "the-flop-book.pdf"
    pdf.touch()
    book.append("index.md", "\n```{downloads}\n```\n")
    assert book.build().code == 0
    assert pdf.name in (site / "index.html").read_text()
    book.append("lectures/direct.md", "\nMore prose.\n")
    assert book.build().code == 0
    assert not pdf.exists()
    assert pdf.name not in (site / "index.html").read_text()
