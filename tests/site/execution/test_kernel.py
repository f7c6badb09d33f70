"""Test that each kernel is a fresh process, forked or started plainly."""

import os
import subprocess
import sys
import time
from pathlib import Path

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


@pytest.fixture(
    scope="module",
    params=WAYS,
)
def each(request):
    """Give forked kernels, then kernels that are started plainly."""
    with Kernels(request.param) as kernels:
        yield kernels


def told(kernels, folder, *cells, **environment):
    """Run cells in one kernel, and return the text that each prints, if any."""
    folder.mkdir(exist_ok=True)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    run(notebook, folder, kernels, environment)
    printed = ("".join(output.get("text", "") for output in cell.outputs).strip() for cell in notebook.cells)
    return [text for text in printed if text]


def test_nothing_passes_from_one_page_to_the_next(each, tmp_path):
    pairs = [[act, f"print({question})"] for act, question in LEFT_BEHIND]
    seen = told(each, tmp_path / "one", IMPORTS, *(cell for pair in pairs for cell in pair))
    assert seen == ["True"] * len(pairs)  # each question can be answered so
    assert told(each, tmp_path / "two", IMPORTS, *(question for _, question in pairs)) == ["False"] * len(pairs)


def test_a_page_sees_the_data_that_it_names_and_no_other_file(each, tmp_path):
    for name in ("lectures/near.txt", "reference/data/named.json", "reference/data/other.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("[1]")
    cell = "import pathlib; print([str(file) for file in pathlib.Path('..').rglob('*.*')], end='')"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])
    notebook.metadata["flopbook"] = {"data": ["reference/data/named.json"]}
    assert execute(notebook, tmp_path, Path("lectures/page.md"), each) is None
    assert notebook.cells[0].outputs[0].text == "['../reference/data/named.json']"


def test_a_kernel_is_a_process_of_its_own_in_the_folder_of_its_page(each, tmp_path):
    cell = "import os, sys; print(os.getpid(), os.getpgrp(), os.getcwd(), '' in sys.path)"
    (first,), (second,) = (told(each, tmp_path / name, cell) for name in ("one", "two"))
    assert first.split()[0] != second.split()[0]
    for said, name in [(first, "one"), (second, "two")]:
        process, group, folder, has_folder = said.split()
        assert (process, Path(folder), has_folder) == (group, tmp_path / name, "True")
        assert process != str(os.getpid())


def test_the_profile_is_empty_and_the_readers_own_is_left_alone(each, tmp_path, monkeypatch):
    startup = tmp_path / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "own.py").write_text("own = 1")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    cell = "print('own' in globals(), get_ipython().history_manager.enabled)"
    assert told(each, tmp_path / "page", cell) == ["False False"]
    assert [path.name for path in tmp_path.rglob("*.sqlite")] == []


def test_a_kernel_imports_from_its_own_path_first(each, tmp_path):
    (tmp_path / "src" / "flopbook").mkdir(parents=True)
    (tmp_path / "src" / "flopbook" / "__init__.py").write_text("which = 'that of the path'")
    said = told(each, tmp_path / "page", "import flopbook; print(flopbook.which)", PYTHONPATH=str(tmp_path / "src"))
    assert said == ["that of the path"]


def test_settings_hold_in_every_kernel(each, tmp_path):
    cells = [
        "print(hash('flops') == hash('flops'), __import__('sys').flags.hash_randomization)",
        "import matplotlib; print(matplotlib.rcParams['svg.hashsalt'], matplotlib.get_backend())",
        "import sys; print(sys.path, sys.flags, sys.warnoptions)",
    ]
    with Kernels(False) as plain:
        assert told(each, tmp_path / "page", *cells) == told(plain, tmp_path / "page", *cells)


def test_numbers_drawn_differ_from_page_to_page(each, tmp_path):
    cell = "import numpy, random; print(numpy.random.rand(), random.random())"
    (one,), (other,) = (told(each, tmp_path / name, cell) for name in ("one", "two"))
    assert not set(one.split()) & set(other.split())


def test_a_kernel_that_ends_is_noticed(each, tmp_path):
    with pytest.raises(DeadKernelError):
        told(each, tmp_path, "import os; os._exit(3)")
    with pytest.raises(CellExecutionError, match="division by zero"):
        told(each, tmp_path, "1 / 0")


def test_a_page_can_start_processes(each, tmp_path):
    cell = "import subprocess, sys; print(subprocess.run([sys.executable, '-c', 'exit(3)']).returncode)"
    workers = (
        "import torch.utils.data as data\n"
        "print(sum(len(batch) for batch in data.DataLoader(range(8), batch_size=4, num_workers=2)))"
    )
    assert told(each, tmp_path, cell, workers) == ["3", "8"]


@pytest.mark.parametrize("fork", WAYS)
def test_kernels_end_with_the_build_that_was_killed(fork, tmp_path):
    program = (
        "import sys, nbformat, pathlib\n"
        "from flopsite.execution.execute import run\n"
        "from flopsite.execution.kernel import Kernels\n"
        "cell = 'import os, pathlib, time; pathlib.Path(\"pid\").write_text(str(os.getpid())); time.sleep(600)'\n"
        "notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell)])\n"
        f"with Kernels({fork}) as kernels: run(notebook, pathlib.Path.cwd(), kernels, {{}})\n"
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
def test_a_server_that_cannot_start_says_so(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("flopsite.execution.kernel._SERVER", tmp_path / "none.py")
    with Kernels(True) as kernels, pytest.raises(RuntimeError, match="kernels are forked from has ended"):
        told(kernels, tmp_path, "1")
    assert "none.py" in capfd.readouterr().err
