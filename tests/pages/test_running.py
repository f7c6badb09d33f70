"""Test that notebooks run: labs whatever their first cell chooses, a lecture where nothing but the package is."""

import re
import subprocess
import sys
from textwrap import indent

import jupytext
import nbformat
import pytest
import torch

from tests.conftest import ROOT

ODD = {
    "profile-your-step": dict(chosen="mine", batch=1, wanted="abacus"),
    "benchmark-an-mlp": dict(hidden=(), batch=1, samples=[10, 1000], seconds=0.2, wanted="abacus"),
    "module-tree": dict(batch=1, wanted="abacus"),
    "know-your-machine": dict(hidden=(), batch=1, wanted="abacus"),
    "serve-a-small-model": dict(prompt=1, batches=(1,), wanted="abacus"),
}
#: Those that choose neither a device nor a folder.
ODD_RUNS = {
    "fit-a-scaling-law": dict(noise=0, teacher=1, smallest=1, budgets=0),
    "two-ranks": dict(ranks=1, B=1, D=5, H=9, extra=0),
}


#: Lets each product of a format and each step be timed as seldom as may be: no text of a lab depends on it. A rank is
#: a process of its own, which does not run the notebook's cells, but the function that measures.
IMPATIENT = "from flopbook.measure import machine, report\nmachine._PATIENCE = report._SECONDS = 0"


def with_choices(name, choices):
    """Make a lab with other choices in its first cell."""
    notebook = jupytext.read(ROOT / "notebooks" / f"{name}.md")
    (cell,) = (cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    assert all(f"{choice} = " in cell.source for choice in choices)
    cell.source = "\n".join([cell.source, *(f"{choice} = {value!r}" for choice, value in choices.items())])
    for cell in notebook.cells:
        cell.source = re.sub(r"def measured\(.*\n", rf"\g<0>{indent(IMPATIENT, ' ' * 4)}\n", cell.source)
    notebook.cells.insert(0, nbformat.v4.new_code_cell(IMPATIENT))
    return notebook


def test_every_lab_is_tried():
    assert set(ODD) | set(ODD_RUNS) == {path.stem for path in (ROOT / "notebooks").glob("*.md")}


@pytest.mark.parametrize("name", ODD)
def test_a_lab_survives_odd_choices_and_says_so(run_notebook, name, tmp_path):
    (tmp_path / "file").write_text("")
    unwritable = str(tmp_path / "file" / "results")  # nobody can make a folder in a file, not even root
    outputs = run_notebook(with_choices(name, {**ODD[name], "folder": unwritable}), tmp_path, path=ROOT / "src")
    said = "\n".join(
        output.get("text") or output.data.get("text/markdown") or output.data["text/plain"] for output in outputs
    )
    assert "is not kept: Not a directory. Choose another folder" in said
    if not torch.accelerator.is_available():
        assert "There is no 'abacus' here: the processor is measured." in said


@pytest.mark.parametrize("name", ODD_RUNS)
def test_a_lab_without_devices_survives_odd_choices(run_notebook, name, tmp_path):
    assert run_notebook(with_choices(name, ODD_RUNS[name]), tmp_path, path=ROOT / "src")


@pytest.fixture
def installed(site, tmp_path):
    """Install the package from the site into a folder by pip."""
    folder = tmp_path / "installed"
    options = ["--quiet", "--no-compile", "--no-deps", "--no-index", "--target", folder]
    subprocess.run([sys.executable, "-m", "pip", "install", *options, *site.glob("flopbook-*.whl")], check=True)
    return folder


def test_a_notebook_runs_where_nothing_but_the_package_is(site, installed, run_notebook, tmp_path):
    """One is enough: the build runs each page's code in a folder that has nothing but the data that it names."""
    folder = tmp_path / "empty"
    folder.mkdir()
    run_notebook(nbformat.read(site / "notebooks" / "lectures" / "matrix-product.ipynb", 4), folder, path=installed)
