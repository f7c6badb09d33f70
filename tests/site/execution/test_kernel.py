"""Test that each kernel is a fresh process, forked or started plainly."""

import os
import subprocess
import sys
import time
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from typing import NamedTuple

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError, DeadKernelError

from flopsite.execution.execute import execute, run
from flopsite.execution.kernel import FORK_IS_SAFE, Kernels
from tests.conftest import ROOT

needs_fork = pytest.mark.skipif(not FORK_IS_SAFE, reason="kernels are not forked on this system")
WAYS = [pytest.param(True, marks=needs_fork, id="forked"), pytest.param(False, id="plain")]

IMPORTS = """
import builtins, os, pathlib, sys, threading, time, warnings
import matplotlib, sympy, torch
import matplotlib.pyplot as plt
"""
#: What a page does, and what would be true in the next one if it were seen there.
LEFT_BEHIND = [
    ("left = 1", "'left' in globals()"),
    ("builtins.left = 1", "hasattr(builtins, 'left')"),
    ("os.environ['LEFT'] = '1'", "'LEFT' in os.environ"),
    ("sys.path.append('/left')", "'/left' in sys.path"),
    ("sys.modules['left'] = sys", "'left' in sys.modules"),
    ("warnings.filterwarnings('ignore', message='left')", "'left' in str(warnings.filters)"),
    ("torch.Tensor.left = 1", "hasattr(torch.Tensor, 'left')"),
    ("sympy.Symbol.left = 1", "hasattr(sympy.Symbol, 'left')"),
    ("torch.set_default_dtype(torch.float64)", "torch.get_default_dtype() is torch.float64"),
    ("torch.manual_seed(7);", "torch.initial_seed() == 7"),
    ("matplotlib.rcParams['lines.linewidth'] = 9", "matplotlib.rcParams['lines.linewidth'] == 9"),
    ("plt.left = 1", "hasattr(plt, 'left')"),
    (
        "threading.Thread(target=time.sleep, args=[600], daemon=True, name='left').start()",
        "any(thread.name == 'left' for thread in threading.enumerate())",
    ),
    ("pathlib.Path('left').touch()", "pathlib.Path('left').exists()"),
    ("os.chdir('/')", "os.getcwd() == '/'"),
]

#: What each page is asked before it does anything else.
ASKED = {
    "settings": "import sys; print(sys.path, sys.flags, sys.warnoptions, hash('flops'))",
    "figures": "import matplotlib; print(matplotlib.rcParams['svg.hashsalt'], matplotlib.get_backend())",
    "process": "import os; print(os.getpid(), os.getpgrp(), os.getcwd(), '' in sys.path)",
    "profile": "print('own' in globals(), get_ipython().history_manager.enabled)",
    "package": "import flopbook; print(flopbook.which)",
    "numbers": "import numpy, random; print(numpy.random.rand(), random.random())",
    "program": "import subprocess; print(subprocess.run([sys.executable, '-c', 'exit(3)']).returncode)",
    "workers": (
        "import torch.utils.data as data\n"
        "print(sum(len(batch) for batch in data.DataLoader(range(8), batch_size=4, num_workers=2)))"
    ),
}


class Page(NamedTuple):
    """Holds what a page was asked and said, and what it says of the page before."""

    folder: Path
    said: dict[str, str]
    left: list[str]


@pytest.fixture(scope="module")
def kernels_of():
    """Return the kernels of a way, forked or plain, which are the same for all tests."""
    with ExitStack() as stack:
        yield cache(lambda fork: stack.enter_context(Kernels(fork)))


@pytest.fixture(scope="module")
def readers(tmp_path_factory):
    """Make a reader's own folder of IPython, with a file that runs at each start."""
    folder = tmp_path_factory.mktemp("readers")
    startup = folder / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "own.py").write_text("own = 1")
    return folder


@pytest.fixture(scope="module")
def pages_of(kernels_of, readers, tmp_path_factory):
    """Return two pages that run one after the other; the first leaves something wherever it can."""
    pairs = [(act, f"print({question})") for act, question in LEFT_BEHIND]
    last = {"one": [cell for pair in pairs for cell in pair], "two": [question for _, question in pairs]}
    src = tmp_path_factory.mktemp("src")
    (src / "flopbook").mkdir()
    (src / "flopbook" / "__init__.py").write_text("which = 'that of the path'")

    @cache
    def run(fork):
        pages, folder = [], tmp_path_factory.mktemp("pages")
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("IPYTHONDIR", str(readers))
            for name, cells in last.items():
                texts = told(kernels_of(fork), folder / name, *ASKED.values(), IMPORTS, *cells, PYTHONPATH=str(src))
                pages.append(Page(folder / name, dict(zip(ASKED, texts, strict=False)), texts[len(ASKED) :]))
        return pages

    return run


@pytest.fixture(params=WAYS)
def each(request, kernels_of):
    """Give forked kernels, then kernels that are started plainly."""
    return kernels_of(request.param)


@pytest.fixture(params=WAYS)
def pages(request, pages_of):
    """Give two pages in forked kernels, then two in kernels that are started plainly."""
    return pages_of(request.param)


def told(kernels, folder, *cells, **environment):
    """Run cells in one kernel, and return the text that each prints, if any."""
    folder.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    run(notebook, folder, kernels, environment)
    printed = ("".join(output.get("text", "") for output in cell.outputs).strip() for cell in notebook.cells)
    return [text for text in printed if text]


def test_nothing_passes_from_one_page_to_the_next(pages):
    one, two = pages
    assert one.left == ["True"] * len(LEFT_BEHIND)  # each question can be answered so
    assert two.left == ["False"] * len(LEFT_BEHIND)


def test_a_page_sees_the_data_that_it_names_and_no_other_file(each, tmp_path):
    for name in ("lectures/near.txt", "reference/data/named.json", "reference/data/other.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("[1]")
    cell = "import pathlib; print([str(file) for file in pathlib.Path('..').rglob('*.*')], end='')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    notebook.metadata["flopbook"] = {"data": ["reference/data/named.json"]}
    assert execute(notebook, tmp_path, Path("lectures/page.md"), each) is None
    assert notebook.cells[0].outputs[0].text == "['../reference/data/named.json']"


def test_a_kernel_is_a_process_of_its_own_in_the_folder_of_its_page(pages):
    processes = [page.said["process"].split() for page in pages]
    for page, (process, group, folder, has_folder) in zip(pages, processes, strict=True):
        assert (process, Path(folder), has_folder) == (group, page.folder, "True")
    assert len({str(os.getpid()), *(process for process, *_ in processes)}) == 3


def test_the_profile_is_empty_and_the_readers_own_is_left_alone(pages, readers):
    assert [page.said["profile"] for page in pages] == ["False False"] * 2
    assert [path.name for path in readers.rglob("*") if path.is_file()] == ["own.py"]


def test_a_kernel_imports_from_its_own_path_first(pages):
    assert [page.said["package"] for page in pages] == ["that of the path"] * 2


def test_settings_hold_in_every_kernel(pages, pages_of):
    (plain, _), names = pages_of(False), ("settings", "figures")
    for page in pages:
        assert [page.said[name] for name in names] == [plain.said[name] for name in names]


def test_numbers_drawn_differ_from_page_to_page(pages):
    one, other = (page.said["numbers"].split() for page in pages)
    assert not set(one) & set(other)


def test_a_page_can_start_processes(pages):
    assert [(page.said["program"], page.said["workers"]) for page in pages] == [("3", "8")] * 2


def test_a_kernel_that_ends_is_noticed(each, tmp_path):
    with pytest.raises(DeadKernelError):
        told(each, tmp_path, "import os; os._exit(3)")
    with pytest.raises(CellExecutionError, match="division by zero"):
        told(each, tmp_path, "1 / 0")


@pytest.mark.parametrize("fork", WAYS)
def test_kernels_end_with_the_build_that_was_killed(fork, tmp_path):
    program = (
        "import sys, nbformat, pathlib\n"
        "from flopsite.execution.execute import run\n"
        "from flopsite.execution import kernel\n"
        "kernel.PRELOADED = ['numpy']\n"
        "cell = 'import os, pathlib, time; pathlib.Path(\"pid\").write_text(str(os.getpid())); time.sleep(600)'\n"
        "notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])\n"
        f"with kernel.Kernels({fork}) as kernels: run(notebook, pathlib.Path.cwd(), kernels, {{}})\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src")}
    build = subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment)
    pid = tmp_path / "pid"
    while not (pid.exists() and pid.read_text()):
        assert build.poll() is None
        time.sleep(0.1)
    build.kill()
    build.wait()
    while is_running(int(pid.read_text())):  # a kernel looks once a second
        time.sleep(0.1)


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@needs_fork
@pytest.mark.parametrize("asked", ["at once", "after its end"])
def test_a_server_that_cannot_start_says_so(tmp_path, monkeypatch, capfd, asked):
    monkeypatch.setattr("flopsite.execution.kernel._SERVER", tmp_path / "none.py")
    with Kernels(True) as kernels, pytest.raises(RuntimeError, match="kernels are forked from has ended"):
        if asked == "after its end":
            kernels._server.wait()
        told(kernels, tmp_path, "1")
    assert "none.py" in capfd.readouterr().err
