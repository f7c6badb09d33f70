"""Test live cells without a browser: which are live, what runs, what is shown."""

import io
from zipfile import ZipFile

import nbformat
import pytest
import sympy

from flopsite.live.cells import read_cells
from flopsite.live.engine import archive, own_sources
from flopsite.live.names import names
from flopsite.live.session import Session, bundle
from tests.conftest import ROOT
from tests.test_imports import modules_of

SRC = ROOT / "src"


@pytest.mark.parametrize(
    ("source", "used", "bound"),
    [
        ("y = x", "x", "y"),
        ("x = 1\ny = x", "", "x y"),
        ("x = x + 1", "x", "x"),
        ("x += 1", "x", "x"),
        ("from sympy import symbols as s\nimport os.path", "", "s os"),
        ("[x * y for x in xs if x]", "xs y", ""),
        ("def f(x, y=z):\n    w = x\n    return w + v", "v z", "f"),
        ("def f():\n    return later\nlater = 1", "", "f later"),
        ("class A(B):\n    c = d\n    def e(self):\n        return g", "B d g", "A"),
        ("for i in range(n):\n    print(i)", "n", "i"),
        ("with a as b:\n    pass", "a", "b"),
        ("(w := 3) + w", "", "w"),
        ("display(x)", "x", ""),
        ("try:\n    x\nexcept E as e:\n    e", "E x", "e"),
        ("match x:\n    case [a, *b]:\n        a, b", "x", "a b"),
        ("f = lambda y, z=w: y + v", "v w", "f"),
        ("@a\ndef f(x: b = c) -> d: ...", "a b c d", "f"),
        ("a, *b = b", "b", "a b"),
        ("x: int\nx", "x", ""),
        ("del x", "x", ""),
        ("[y := x for x in xs]\ny", "xs", "y"),
    ],
)
def test_names_that_a_cell_uses_and_binds(source, used, bound):
    assert names(source) == (set(used.split()), set(bound.split()))


def page(*sources):
    return nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_markdown_cell("Text."), *map(nbformat.v4.new_code_cell, sources)]
    )


@pytest.mark.parametrize(
    ("sources", "needs"),
    [
        (["import sympy", "sympy.pi", "import math, json"], ["", "", ""]),
        (["import torch", "x = torch.ones(2)", "1 + 1", "x + 1"], ["torch", "torch", "", "torch"]),
        (["import torch\nx = 1", "x = 2", "x"], ["torch", "", ""]),
        (["x = 2", "import torch\nx = 1", "x"], ["", "torch", "torch"]),
        (["from flopbook.predict.steps import matmul", "from flopbook import teaching"], ["", ""]),
        (
            ["from flopbook.measure.counting.count import FlopCount", "from flopbook import figures"],
            ["torch", "matplotlib"],
        ),
        (["def late():\n    import torch", "late"], ["torch", "torch"]),
        (["try:\n    nowhere\nexcept NameError:\n    pass"], [""]),
        (["%timeit 1", "2"], ["IPython", ""]),
    ],
)
def test_what_a_cell_needs_comes_with_the_names_it_uses(sources, needs):
    cells = read_cells(page(*sources), SRC)
    assert [" ".join(sorted(cell.needs)) for cell in cells] == needs
    assert [cell.is_live for cell in cells] == [not need for need in needs]
    assert [cell.id for cell in cells] == [f"cell-{number}" for number in range(1, len(cells) + 1)]


@pytest.mark.parametrize(
    ("beside_torch", "freed"),
    [
        ("import math, torch\ntorch.ones(2)", "import math"),
        (
            "from flopbook.predict import D, matmul as product\nfrom torch import nn",
            "from flopbook.predict import D\nfrom flopbook.predict import matmul as product",
        ),
        ("import math\nimport torch\nmath = 3", ""),  # the name stands for something else at the cell's end
        ("import torch\ntry:\n    import json\nexcept ImportError:\n    json = None", ""),
    ],
)
def test_imports_beside_torch_are_freed(beside_torch, freed):
    cells = read_cells(page(beside_torch, "math"), SRC)
    assert [cell.source for cell in cells if cell.is_part] == ([freed] if freed else [])
    assert [cell.id for cell in cells] == ["cell-1-imports"] * bool(freed) + ["cell-1", "cell-2"]
    assert cells[-1].is_live == ("math" not in beside_torch or "import math" in freed)


def test_a_file_that_the_page_names_is_not_there_in_the_browser():
    notebook = page("open('data/table.json')", "open('other.json')")
    notebook.metadata["flopbook"] = {"data": ["data/table.json"]}
    assert [cell.needs for cell in read_cells(notebook, SRC)] == [{"data/table.json"}, set()]


class Told(list):
    """Notes what a session tells, and how often each cell ran."""

    def __init__(self):
        self.session = Session(lambda *what: self.append(what))

    def run(self, page, wanted):
        self.clear()
        self.session.run(page, wanted)
        return [cell for kind, cell in self if kind == "running"]

    def said(self, kind):
        return [content for told, content in self if told == kind]


@pytest.fixture
def told():
    return Told()


def test_what_a_cell_builds_on_runs_first_and_once(told):
    page = {"a": "x = 2", "b": "y = 5", "c": "z = x + 1", "d": "z * x"}
    assert told.run(page, "d") == ["a", "c", "d"]
    assert told.said("show") == [{"text/plain": "6"}]
    assert told.run(page, "d") == ["d"]
    assert told.run(page, "b") == ["b"]


def test_a_changed_cell_runs_again_with_all_that_builds_on_it(told):
    page = {"a": "x = 2", "b": "y = x + 1", "c": "w = 1", "d": "y"}
    told.run(page, "d")
    assert told.run(page | {"a": "x = 3"}, "d") == ["a", "b", "d"]
    assert told.said("show") == [{"text/plain": "4"}]
    told.run(page | {"a": "x = 4"}, "a")
    assert told.run(page | {"a": "x = 4"}, "d") == ["b", "d"]


def test_a_cell_sees_what_stands_above_it_whatever_ran_last(told):
    page = {"a": "x = 1", "b": "x", "c": "x = 2", "d": "x"}
    told.run(page, "d")
    told.run(page, "b")
    assert told.said("show") == [{"text/plain": "1"}]


def test_a_cell_that_changes_its_own_name_can_run_again(told):
    page = {"a": "x = 1", "b": "x += 1\nx"}
    told.run(page, "b")
    told.run(page, "b")
    assert told.said("show") == [{"text/plain": "2"}]


def test_a_function_finds_names_as_in_a_notebook(told):
    page = {"a": "def f():\n    return later", "b": "later = 7", "c": "later\nf()"}
    told.run(page, "c")
    assert told.said("show") == [{"text/plain": "7"}]


def test_names_that_no_reading_shows_are_kept(told):
    page = {"a": "from math import *", "b": "floor(2.5)"}
    told.run(page, "a")
    told.run(page, "b")
    assert told.said("show") == [{"text/plain": "2"}]


def test_an_error_shows_the_lines_of_cells_and_no_others(told):
    page = {"a": "def half(n):\n    return divide(n)", "b": "from math import sqrt as divide", "c": "divide\nhalf('x')"}
    assert told.run(page, "c") == ["a", "b", "c"]
    [error] = told.said("error")
    assert error["words"] == "TypeError: must be real number, not str"
    where = error["traceback"]
    assert where.startswith('Traceback (most recent call last):\n  File "this cell", line 2, in <module>\n')
    assert '  File "a cell above", line 2, in half\n    return divide(n)\n' in where
    assert where.endswith(error["words"])
    assert "session.py" not in where


def test_an_error_above_stops_the_run_and_a_mended_cell_goes_on(told):
    page = {"a": "x = 1 / 0", "b": "x"}
    assert told.run(page, "b") == ["a"]
    assert told.run(page | {"a": "x = 1"}, "b") == ["a", "b"]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("1 +* 2", ['File "this cell", line 1', "SyntaxError: invalid syntax"]),
        ("import nowhere", ["No module named 'nowhere'", "the notebook has all"]),
        ("raise SystemExit(3)", ["SystemExit: 3"]),
        ("n = input()", ["RuntimeError: input() cannot read in the page: write the answer into the cell, such as"]),
        ("def ask():\n    return input('n? ')\nask()", ["line 2, in ask", "input('n? ') cannot read in the page"]),
        ("try:\n    1 / 0\nexcept ZeroDivisionError:\n    [][1]", ["ZeroDivisionError", "IndexError"]),
    ],
)
def test_every_error_is_shown(told, source, words):
    told.run({"a": source}, "a")
    [error] = told.said("error")
    assert all(word in error["words"] + error["traceback"] for word in words)
    assert "session.py" not in error["traceback"]


def test_outputs_come_in_order_and_printing_ends(told):
    told.run({"a": "print(1)\ndisplay(2)\nimport sys\nprint(3, file=sys.stderr)\n4"}, "a")
    assert told[2:] == [
        ("stream", "1\n"),
        ("show", {"text/plain": "2"}),
        ("stream", "3\n"),
        ("show", {"text/plain": "4"}),
    ]
    told.run({"a": "5;"}, "a")
    assert told.said("show") == []


@pytest.mark.parametrize(
    ("source", "length", "more"),
    [
        ("for _ in range(2_000): print('again')", 2_000 * 6, []),
        ("for _ in range(43_233): print('again')", 2_000 * 6, [41_233]),
        ("print('again\\n' * 2_001, end='')", 2_000 * 6, [1]),
        ("print('x' * 300_000)\nprint(1)", 200_000, [2]),
    ],
)
def test_a_loop_that_prints_does_not_flood_the_page(told, source, length, more):
    told.run({"a": source}, "a")
    assert len("".join(told.said("stream"))) == length
    assert told.said("more")[-1:] == more


def test_a_long_value_is_cut():
    text = bundle(list(range(100_000)))["text/plain"]
    assert len(text) < 200_100 and text.endswith(" characters more")


def test_what_depends_on_a_cell_is_told(told):
    told.run({"a": "x = 2", "b": "y = x", "c": "1", "d": "y"}, "a")
    assert told.said("depends") == [{"a": ["a"], "b": ["a", "b"], "c": ["c"], "d": ["a", "b", "d"]}]


def test_a_value_shows_itself_as_in_a_notebook():
    assert bundle(sympy.Symbol("x") ** 2) == {"text/plain": "x**2", "text/latex": "$\\displaystyle x^{2}$"}
    assert set(bundle(sympy.Symbol)) == {"text/plain"}
    assert bundle({"b" * 50: 1, "a" * 50: 2})["text/plain"].count("\n") == 1


def test_a_value_that_writes_its_own_text_is_not_written_twice():
    class Value:
        def _repr_mimebundle_(self):
            return {"text/plain": "its own"}

        def __repr__(self):
            raise AssertionError("a second time")

    assert bundle(Value()) == {"text/plain": "its own"}


def test_the_browser_gets_the_side_that_predicts_and_nothing_that_needs_torch():
    sources = own_sources(SRC)
    found = {path.removeprefix("flopbook/").removesuffix(".py") for path in sources if path.startswith("flopbook/")}
    assert {module.replace(".", "/") for module in modules_of("predict", "teaching")} <= {
        module.removesuffix("/__init__") for module in found
    }
    assert {"published/plan", "published/read", "published/configs/llama-3-8b.json"} <= found
    assert not found & {"measure/timing", "figures/__init__", "figures/style", "tracing/__init__"}


def test_an_archive_has_the_same_bytes_every_time():
    contents = {"a.py": b"1", "b/c.py": b"2"}
    assert archive(contents) == archive(contents)
    with ZipFile(io.BytesIO(archive(contents))) as kept:
        assert {name: kept.read(name) for name in kept.namelist()} == contents


def test_a_text_of_the_reader_is_read_by_a_function_and_never_run(told):
    told.session.take({"reader": "json:loads", "text": '{"a": 1}'})
    assert told == [("running", "json:loads"), ("read", {"a": 1})]
    told.clear()
    told.session.take({"reader": "json:loads", "text": "__import__('os')"})
    assert told == [("running", "json:loads"), ("refused", "Expecting value: line 1 column 1 (char 0)")]
    told.clear()
    told.session.take({"reader": "operator:neg", "text": "1"})  # any error is told, since the page waits for an answer
    assert told.said("refused") == ["TypeError: bad operand type for unary -: 'str'"]
