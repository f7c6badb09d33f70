"""Test formulas as KaTeX sets them: marked letters, and errors."""

import json
import re
import subprocess

import pytest
from docutils import nodes
from docutils.utils import new_document
from sphinx.errors import ExtensionError

from flopbook.predict.axes import MEANING
from flopsite.math.katex import NODE, SCRIPT, KeepPunctuation, Typesetter
from tests.conftest import ROOT


def marked(latex: str) -> str:
    """Return the letters that are marked in a formula, in the order of the HTML."""
    question = json.dumps({"latex": latex, "display": True, "letters": "".join(MEANING)})
    katex = ROOT / "node_modules" / "katex" / "dist"
    answer = subprocess.run([NODE, SCRIPT, katex], input=question, capture_output=True, text=True, check=True).stdout
    return "".join(re.findall(r' letter"[^>]*>(\w)<', json.loads(answer)["html"]))


def test_a_typesetter_that_ended_says_so(tmp_path, capfd):
    typesetter = Typesetter(tmp_path)  # there is no KaTeX
    for _ in range(2):
        with pytest.raises(ExtensionError, match="node ended while it set '2BDK': its output is above"):
            typesetter.html("2BDK", True, "", nodes.math())
    typesetter.close()
    assert "katex.js" in capfd.readouterr().err


@pytest.mark.parametrize(
    "latex, letters",
    [
        ("2BDK", "BDK"),
        ("2 B D^{2}", "BD"),
        ("H_1", "H"),
        (r"\sum_{d=1}^{D} x_{[B,D]}", "DBD"),
        (r"\frac{B}{2}", "B"),
        ("16 ADD + 24 MUL", ""),
        ("2 B n + Vb", "B"),
        ("x^T", ""),
        (r"\mathcal{L} + \text{a B c} + \mathrm{D}", ""),
        (r"\frac BD", ""),  # KaTeX takes no mark for an argument without braces
    ],
)
def test_letters_are_marked_where_they_stand_for_an_axis(latex, letters):
    assert marked(latex) == letters


def test_a_mark_is_kept_with_its_own_formula_where_another_text_is_equal():
    document = new_document("page")
    document += nodes.paragraph(
        "", "", nodes.emphasis("", "right"), nodes.Text("."), nodes.math("", "x"), nodes.Text(".")
    )
    KeepPunctuation(document).run()
    assert document.astext() == "right.x."
    assert document[0][-2].astext() == "x."
