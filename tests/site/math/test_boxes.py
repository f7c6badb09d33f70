"""Test what the build makes of formulas and plans."""

from types import SimpleNamespace

from docutils import nodes
from sympy import symbols

from flopbook.predict.plans import PLAN, Plan
from flopsite.math.boxes import FormulaRenderer


def test_an_expression_that_fills_a_screen_is_text_that_can_be_copied():
    rows = {"Short": ("", symbols("B")), "Long": ("", sum(symbols("x:200")))}
    content = Plan("sum", "A sum", rows, {})._repr_mimebundle_()[PLAN]
    (table,) = FormulaRenderer.handle_mime(None, SimpleNamespace(mime_type=PLAN, content=content), inline=False)
    assert [each.astext() for each in table.findall(nodes.math)] == ["B"]
    assert [each.astext() for each in table.findall(nodes.literal)] == [str(rows["Long"][1])]
