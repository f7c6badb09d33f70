"""Hold the formulas that the library's models write to those on paper."""

import json
from inspect import signature
from pathlib import Path

import pytest
import sympy
from sympy import expand

from flopbook.predict import D, E, F, G, H, L, V
from flopbook.published import Network, from_config
from flopbook.published.in_letters import LETTERED, formulas
from tests.support.published import defaults

RECORD = json.loads(Path("reference/data/published.json").read_text(encoding="utf-8"))["traced"]
#: Of what heads share: the width, and keys and values.
SHARED = {D: E * H, G: H}


def on_paper(architecture: str) -> Network:
    return from_config(defaults(architecture))


def in_its_letters(architecture: str, formula: sympy.Expr) -> sympy.Expr:
    """Write a formula without D, where the width is that of all heads."""
    build, _ = LETTERED[architecture]
    return expand(formula if "D" in signature(build).parameters else formula.subs(SHARED, simultaneous=True))


def test_the_record_has_every_architecture_that_is_tried():
    assert list(RECORD) == list(LETTERED)
    assert sum("fails" not in found for found in RECORD.values()) >= 3


@pytest.mark.parametrize("architecture", [name for name, found in RECORD.items() if "fails" not in found])
@pytest.mark.parametrize("phase", ["forward", "backward"])
def test_a_model_wrote_what_is_on_paper(architecture, phase):
    formula = getattr(on_paper(architecture).dense, phase)
    assert str(in_its_letters(architecture, formula)) == RECORD[architecture][phase]


@pytest.mark.parametrize("architecture, fixed", [
    ("llama", {L: 2, H: 6, G: 2, E: 10}),
    ("gemma", {L: 1, D: 24, H: 3, G: 3, V: 7}),
    ("gpt2", {L: 2, H: 2, E: 6, V: 11}),
])  # fmt: skip
def test_a_model_writes_what_is_on_paper(architecture, fixed):
    traced, paper = (
        formulas(architecture, **{letter.name: size for letter, size in fixed.items()}),
        on_paper(architecture),
    )
    for written, formula in [(traced.forward, paper.dense.forward), (traced.backward, paper.dense.backward)]:
        assert expand(written - in_its_letters(architecture, formula).subs(fixed)) == 0
    assert traced.forward.has(F)
