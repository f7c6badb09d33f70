"""Test that a cell which reads a file of the repository is not live."""

import nbformat

from flopsite.live.cells import read_cells
from tests.conftest import ROOT


def test_what_reads_a_data_file_needs_it_and_so_does_what_builds_on_it():
    sources = ["x = 1", 'y = open("data/some.json").read()', "len(y)"]
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells, metadata={"flopbook": {"data": ["reference/data/some.json"]}})
    needs = [set(cell.needs) for cell in read_cells(notebook, ROOT / "src")]
    assert needs == [set(), {"reference/data/some.json"}, {"reference/data/some.json"}]
