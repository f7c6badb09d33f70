"""Test that site and notebooks read and judge answers alike, with the same hints."""

import json
import re
from collections.abc import Callable, Iterator
from functools import cache
from subprocess import PIPE, Popen
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.predict.values import value_at
from flopbook.teaching.answers import ReadingError, names, read
from flopbook.teaching.audits import Audit
from flopbook.teaching.exercises import Exercise, Verdict
from flopsite.math.katex import NODE
from tests.conftest import ROOT
from tests.support.answers import ANSWERS, EXERCISES

NAMES = ("fractions", "tokens", "reading", "checking")
SCRIPTS = [ROOT / f"src/flopbook/teaching/static/{name}.js" for name in NAMES]
PROGRAM = f"""
{json.dumps([str(path) for path in SCRIPTS])}.forEach(require);
function reading({{ letters, sizes }}, answer) {{
  try {{
    const formula = flopbook.read(answer, letters);
    try {{
      return {{ readable: true, value: flopbook.fractions.text(formula.at(sizes)) }};
    }} catch (error) {{
      return {{ readable: true, value: null }};  // a letter without a size, or it divides by zero there
    }}
  }} catch (error) {{
    return {{ readable: false, value: null }};
  }}
}}
require("readline").createInterface({{ input: process.stdin }}).on("line", (line) => {{
  const {{ form, answer }} = JSON.parse(line);
  const judged = (form.claims ? flopbook.checkAudit : flopbook.check)(form, answer);
  process.stdout.write(JSON.stringify({{ ...judged, ...(form.claims ? {{}} : reading(form, answer)) }}) + "\\n");
}});
"""


class Judged(NamedTuple):
    """Holds what both say of an answer; only hints have to be the same words."""

    right: bool
    hint: str
    readable: bool
    value: str | None


@cache
def form_of(exercise: Exercise | Audit) -> dict:
    return exercise.form()


@cache
def checked(exercise: Exercise, answer: str) -> Verdict:
    return exercise.check(answer)


def judged(exercise: Exercise, said: dict) -> Judged:
    form = form_of(exercise)
    known = {hint for _, hint in form["hints"]} | {form["exactly"]}
    hint = said["message"] if said["message"] in known else ""
    return Judged(said["right"], hint, said["readable"], said["value"])


def judge_in_python(exercise: Exercise, answer: str) -> Judged:
    verdict, form = checked(exercise, answer), form_of(exercise)
    readable, value = True, None
    try:
        expression = read(answer, form["letters"]).expression
    except ReadingError:
        readable = False
    else:
        if names(expression) <= set(form["letters"]):
            at = value_at(expression, form["sizes"])
            value = str(at) if at.is_Rational else None
    return judged(exercise, {"right": verdict.right, "message": verdict.message, "readable": readable, "value": value})


@pytest.fixture(scope="module")
def ask_javascript() -> Iterator[Callable[[Exercise | Audit, str | dict[str, str]], dict]]:
    with Popen([NODE, "-e", PROGRAM], stdin=PIPE, stdout=PIPE, encoding="utf-8") as node:

        def ask(exercise: Exercise | Audit, answer: str | dict[str, str]) -> dict:
            node.stdin.write(json.dumps({"form": form_of(exercise), "answer": answer}) + "\n")
            node.stdin.flush()
            return json.loads(node.stdout.readline())

        yield ask
        node.stdin.close()


def agree(exercise: Exercise, answer: str, said: dict) -> bool:
    """Tell whether both judge alike; SymPy alone cancels (H - 2)/(H - 2), which has no value at 2."""
    one, other = judged(exercise, said), judge_in_python(exercise, answer)
    return one[:3] == other[:3] and (one.value == other.value or one.value is None)


@pytest.mark.parametrize("name", EXERCISES)
def test_every_answer_is_judged_alike(ask_javascript, name):
    exercise = EXERCISES[name]
    assert [answer for answer in ANSWERS if not agree(exercise, answer, ask_javascript(exercise, answer))] == []


def test_a_site_that_read_otherwise_would_be_noticed(ask_javascript):
    exercise = EXERCISES["product"]
    said = ask_javascript(exercise, "3BDK")
    changes = {"right": True, "message": "Each is 2 FLOPs.", "readable": False, "value": "91"}
    assert agree(exercise, "3BDK", said)
    assert not any(agree(exercise, "3BDK", said | {name: value}) for name, value in changes.items())


@pytest.mark.parametrize("answer", ["4DK", "12K", "BDK + 30", "2BDK + (B-2)(B-3)"])
def test_the_site_shows_sizes_at_which_the_answers_differ(ask_javascript, answer):
    message = ask_javascript(EXERCISES["product"], answer)["message"]
    given, right = re.search(r"that is (\d+), and the right answer gives (\d+)", message).groups()
    assert given != right


def test_the_table_has_right_and_wrong_answers_and_hints():
    said = {name: [checked(exercise, answer) for answer in ANSWERS] for name, exercise in EXERCISES.items()}
    assert all({verdict.right for verdict in verdicts} == {True, False} for verdicts in said.values())
    messages = {verdict.message for verdicts in said.values() for verdict in verdicts}
    for exercise in EXERCISES.values():
        assert {hint for _, hint in form_of(exercise)["hints"]} <= messages


AUDIT = Audit(
    {"a": "right", "b": Exercise(1280, hints={640: "MACs."}), "c": "not decidable"},
    why={"b": "A multiply-accumulate is 2 FLOPs.", "c": "Which device?"},
)
VERDICTS = ["right", " Right ", "wrong", "not decidable", "", "1,280", "640", "1.28 kFLOPs", "7", "2BD(K"]


def settled(message):
    """List the claims that are still open."""
    return [line.partition(":")[0] for line in message.splitlines()[1:]]


@pytest.mark.parametrize("said", VERDICTS)
def test_an_audit_is_judged_alike(ask_javascript, said):
    for others in VERDICTS:
        verdicts = {"a": said, "b": others, "c": others}
        on_the_site, in_python = ask_javascript(AUDIT, verdicts), AUDIT.check(verdicts)
        assert on_the_site["right"] == in_python.right
        assert on_the_site["message"].splitlines()[0] == in_python.message.splitlines()[0]
        assert settled(on_the_site["message"]) == settled(in_python.message)


atoms = st.sampled_from(
    ["B", "D", "K", "H", "H1", "1", "2", "3", "1.5", "1,024", "20%", "1e3", "2BD", "dk", "B²", "(K - 2)"]
)
formulas = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from([" + ", " - ", "*", "/", " ", "·", ""]), inner).map("".join),
        inner.map("({})".format),
        inner.map("-{}".format),
        st.tuples(inner, st.sampled_from(["^", "**"]), st.sampled_from(["0", "2", "3", "-1", "B", "(1/2)"])).map(
            "".join
        ),
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(EXERCISES)),
    st.one_of(
        formulas,
        st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
        st.text(alphabet="0123BDKHh_e.,%+-*/^() ²·×\n'[]=GFLOPs\"\\", max_size=40),
        st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=20),  # later Unicode knows more characters
    ),
)
def test_any_text_is_judged_alike(ask_javascript, name, text):
    assert agree(EXERCISES[name], text, ask_javascript(EXERCISES[name], text))
