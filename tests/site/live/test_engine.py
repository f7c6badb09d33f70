"""Test that live cells give in the browser's Python what they gave in the build."""

import json
import re
import subprocess
from pathlib import Path

import nbformat
import pytest

from flopsite.live.cells import read_cells
from flopsite.live.engine import own_sources
from flopsite.math.katex import NODE
from tests.conftest import ROOT

SCRIPT = Path(__file__).with_name("live.mjs")
DATA = re.compile(r'<script[^>]* id="live-cells"[^>]*>(.*?)</script>', re.DOTALL)


def asked(site, pages):
    """Find the live cells of every page, and which of them the page shows."""
    for page in pages:
        if data := DATA.search((site / page).read_text("utf-8")):
            name = page.removesuffix(".html")
            notebook = nbformat.read(ROOT / "_build" / "pages" / f"{name}.ipynb", 4)
            live = {cell.id: cell.source for cell in read_cells(notebook, ROOT / "src") if cell.is_live}
            shown = [cell for cell, source in json.loads(data[1]).items() if source is None]
            yield name, {"cells": live, "wanted": shown}


def said(pages):
    """Read what the build noted of each cell: printed text and plain values."""
    for name in pages:
        notebook = nbformat.read(ROOT / "_build" / "pages" / f"{name}.ipynb", 4)
        for index, cell in enumerate(notebook.cells):
            for output in cell.get("outputs", []):
                text = output.text if output.output_type == "stream" else output.data.get("text/plain", "")
                yield f"{name} cell-{index}", text


@pytest.fixture(scope="module")
def answers(site, pages):
    book = dict(asked(site, pages))
    modules = [path.removesuffix(".py").replace("/", ".") for path in own_sources(ROOT / "src") if path.endswith(".py")]
    imports = "\n".join(f"import {module.removesuffix('.__init__')}" for module in modules)
    question = book | {"all modules": {"cells": {"imports": imports}, "wanted": ["imports"]}}
    command = [NODE, SCRIPT, site / "_static" / "live" / "engine"]
    run = subprocess.run(command, input=json.dumps(question), capture_output=True, text=True, check=True)
    return json.loads(run.stdout)


def test_no_live_cell_fails(answers):
    assert len(answers) > 90
    assert {cell: told for cell, told in answers.items() if any(kind == "error" for kind, _ in told)} == {}


def test_live_cells_give_what_they_gave_in_the_build(answers):
    built: dict[str, str] = {}
    for cell, text in said({cell.split()[0] for cell in answers if "cell-" in cell}):
        built[cell] = built.get(cell, "") + text
    here = {cell: "".join(plain(told)) for cell, told in answers.items()}
    assert {cell: text for cell, text in here.items() if not same(text, built.get(cell, ""))} == {}


def plain(told):
    last = max(index for index, (kind, _) in enumerate(told) if kind == "running")
    for kind, content in told[last:]:
        if kind in ("show", "stream"):
            yield content["text/plain"] if kind == "show" else content


def same(text, other):
    """Compare texts without their line breaks, which each printer sets."""
    return "".join(text.split()) == "".join(other.split())
