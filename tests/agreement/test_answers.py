"""The site reads and judges answers in JavaScript, the notebooks in Python: both say the same, word for word."""

import json
from collections.abc import Callable, Iterator
from subprocess import PIPE, Popen

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flopbook.teaching.audits import Audit
from flopbook.teaching.exercises import Exercise, Verdict
from flopsite.math.katex import NODE
from tests.conftest import ROOT
from tests.support.answers import ANSWERS, EXERCISES

SCRIPTS = [ROOT / f"src/flopsite/exercises/static/{name}.js" for name in ("fractions", "tokens", "reading", "checking")]
PROGRAM = f"""
{json.dumps([str(path) for path in SCRIPTS])}.forEach(require);
require("readline").createInterface({{ input: process.stdin }}).on("line", (line) => {{
  const {{ form, answer }} = JSON.parse(line);
  const check = form.claims ? flopbook.checkAudit : flopbook.check;
  process.stdout.write(JSON.stringify(check(form, answer)) + "\\n");
}});
"""
Check = Callable[[Exercise | Audit, str | dict[str, str]], Verdict]


@pytest.fixture(scope="module")
def check_in_javascript() -> Iterator[Check]:
    with Popen([NODE, "-e", PROGRAM], stdin=PIPE, stdout=PIPE, encoding="utf-8") as node:

        def check(exercise: Exercise | Audit, answer: str | dict[str, str]) -> Verdict:
            node.stdin.write(json.dumps({"form": exercise.form(), "answer": answer}) + "\n")
            node.stdin.flush()
            said = json.loads(node.stdout.readline())
            return Verdict(said["right"], said["message"])

        yield check
        node.stdin.close()


@pytest.mark.parametrize("name", EXERCISES)
def test_every_answer_is_judged_alike(check_in_javascript, name):
    exercise = EXERCISES[name]
    said = {answer: repr(check_in_javascript(exercise, answer)) for answer in ANSWERS}
    assert said == {answer: repr(exercise.check(answer)) for answer in ANSWERS}


def test_the_table_has_right_and_wrong_answers_and_hints():
    said = {name: [exercise.check(answer) for answer in ANSWERS] for name, exercise in EXERCISES.items()}
    assert all({verdict.right for verdict in verdicts} == {True, False} for verdicts in said.values())
    messages = {verdict.message for verdicts in said.values() for verdict in verdicts}
    for exercise in EXERCISES.values():
        assert {hint for _, hint in exercise.form()["hints"]} <= messages


AUDIT = Audit(
    {"a": "right", "b": Exercise(1280, hints={640: "MACs."}), "c": "not decidable"},
    why={"b": "A multiply-accumulate is 2 FLOPs.", "c": "Which device?"},
)
VERDICTS = ["right", " Right ", "wrong", "not decidable", "", "1,280", "640", "1.28 kFLOPs", "7", "2BD(K"]


@pytest.mark.parametrize("said", VERDICTS)
def test_an_audit_is_judged_alike(check_in_javascript, said):
    for others in VERDICTS:
        verdicts = {"a": said, "b": others, "c": others}
        assert repr(check_in_javascript(AUDIT, verdicts)) == repr(AUDIT.check(verdicts))


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


@settings(max_examples=400, deadline=None)
@given(
    st.sampled_from(sorted(EXERCISES)),
    st.one_of(
        formulas,
        st.decimals(allow_nan=False, allow_infinity=False, places=4).map(str),
        st.text(alphabet="0123BDKHh_e.,%+-*/^() ²·×\n'[]=GFLOPs\"\\", max_size=40),
        st.text(st.characters(exclude_categories=["Cn", "Cs"]), max_size=20),  # later Unicode knows more characters
    ),
)
def test_any_text_is_judged_alike(check_in_javascript, name, text):
    in_javascript, in_python = check_in_javascript(EXERCISES[name], text), EXERCISES[name].check(text)
    if "that divides by zero" in in_javascript.message:  # SymPy cancels (B - 2)/(B - 2) before it puts numbers in
        assert not in_python.right
    else:
        assert repr(in_javascript) == repr(in_python)
