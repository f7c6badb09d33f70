"""Use all that a reader can set, turn or answer on a page, and compare what it says with what it should say."""

import json
import random
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field

import nbformat
import sympy
from playwright.sync_api import Page, expect

from flopbook.predict.values import evaluate
from tests.browser.test_calculators import SHOWN
from tests.browser.test_pictures import DATA, assert_shows
from tests.conftest import ROOT

KINDS = ("application/vnd.flopbook.formula+json", "application/vnd.flopbook.plan+json")
CONTROLS = ".calculator, .picture, .question, .exercise"
# Choose an option in each list, type a size into each field, and a multiple where one size divides another.
SET = """(box, { chosen, typed, times }) => {
  const type = (field, text) => {
    field.value = text;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.dispatchEvent(new Event("change", { bubbles: true }));
  };
  const field = (size) => size.querySelector("[type=text]");
  box.querySelectorAll("select").forEach((list, at) => type(list, list.options[chosen[at]].value));
  box.querySelectorAll(".size").forEach((size, at) => type(field(size), typed[at]));
  const wholes = {};
  for (const size of box.querySelectorAll("[data-divides]")) {
    const { divides } = size.dataset;
    wholes[divides] = (wholes[divides] ?? BigInt(times)) * BigInt(field(size).value.replaceAll(",", ""));
  }
  for (const [name, whole] of Object.entries(wholes))
    type(field(box.querySelector(`[data-size="${name}"]`)), String(whole));
}"""
# The sizes that the options of all lists set; a list shows none of them once a reader has changed one by hand.
OPTIONS = """(box, chosen) => Object.assign({}, ...[...box.querySelectorAll("select")].map(
  (list, at) => JSON.parse(list.options[chosen[at]].dataset.sizes)))"""
# Of each calculator: its name, what it says of its fields, and how many options its lists have.
FIELDS = """boxes => boxes.map((box) => [
  box.dataset.name,
  [...box.querySelectorAll(".size")].map((size) => ({ ...size.dataset })),
  [...box.querySelectorAll("select")].map((list) => list.options.length),
])"""
# Set all calculators first: a page is laid out again where its words are read after a change.
RESULTS = f"""(boxes, settings) => {{
  boxes.forEach((box, at) => ({SET})(box, settings[at]));
  return boxes.map((box, at) => [({OPTIONS})(box, settings[at].chosen), ...({SHOWN})(box)]);
}}"""
# Send each exercise its wrong answers, the right one and what is not a formula, and return what is said of them.
VERDICTS = """forms => forms.map((form) => {
  const { hints, right } = JSON.parse(form.dataset.form);
  const said = [...hints.map(([wrong]) => wrong), right, "2 +"].map((answer) => {
    form.querySelector("input").value = answer;
    form.requestSubmit();
    return form.querySelector("[role=status]").textContent;
  });
  return [hints.map(([, hint]) => hint), said];
})"""
# Choose each answer of each question, and return what is said of it beside its reason.
SAID = """questions => questions.map((question) => [
  [...question.querySelectorAll("input[type=radio]")].map((choice) => {
    choice.click();
    return question.querySelector("[role=status]").textContent;
  }),
  [...question.querySelectorAll(".reason")].map((reason) => reason.textContent),
])"""


@dataclass
class Used:
    """Holds what was found when a reader used everything on every page."""

    #: By kind of control: what is wrong, by page.
    wrong: defaultdict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))
    #: By kind of control: how many there are on each page.
    number: defaultdict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    #: The lengths of calculators' results.
    lengths: set[int] = field(default_factory=set)


def boxed_on(page: str) -> Iterator[dict]:
    """Return what a page's cells have boxed, from which its calculators are made."""
    stored = ROOT / "_build" / "pages" / page.replace(".html", ".ipynb")
    if stored.exists():
        outputs = (output for cell in nbformat.read(stored, 4).cells for output in cell.get("outputs", []))
        data = (output.get("data", {}).get(kind) for output in outputs for kind in KINDS)
        yield from filter(None, data)


def expression_of(text: str) -> sympy.Expr:
    """Return the expression of a text in which each name is a letter, but for four functions."""
    letters = set(re.findall(r"[A-Za-z_]\w*", text)) - {"Max", "Min", "ceiling", "floor"}
    return sympy.sympify(text, locals={letter: sympy.Symbol(letter) for letter in letters})


def formulas_on(page: str) -> dict[str, dict[str, sympy.Expr]]:
    """Return what each calculator's rows compute, by name and title."""
    return {
        box["name"]: {title: expression_of(text) for title, text, _ in box["rows"]}
        if "rows" in box
        else {box["title"]: sympy.sympify(box["expression"])}
        for box in boxed_on(page)
    }


def written(value) -> str:
    digits = [f"{abs(part):,}" for part in (value.numerator, value.denominator)]
    sign = "−" if value < 0 else ""
    return sign + (digits[0] if digits[1] == "1" else "/".join(digits)) if value.denominator < 10**6 else ""


def value_of(expression: sympy.Expr, sizes: dict[str, int]) -> str:
    if 0 not in sizes.values():
        return written(evaluate(expression, sizes))
    exact = expression.xreplace({letter: sympy.Integer(sizes[letter.name]) for letter in expression.free_symbols})
    return written(exact)


def use_calculators(page: Page, name: str, draw: random.Random, used: Used) -> int:
    """Set each calculator at random, compare with its formulas, and note the lengths of results."""
    formulas, calculators = formulas_on(name), page.locator(".calculator.ready")
    known = {title: expression for rows in formulas.values() for title, expression in rows.items()}
    boxes, settings = calculators.evaluate_all(FIELDS), []
    for _, fields, options in boxes:
        largest = draw.choice([2**4, 2**10, 2**16, 2**31, 2**40])
        chosen = [draw.randrange(number - 1) for number in options]
        # Calculators read 30 digits, and three sizes may divide one.
        limits = [min(largest, 2**28) if "divides" in each else largest for each in fields]
        ranges = [
            (int(each["low"]), int(each["high"])) if "only" in each else (1, limit)
            for each, limit in zip(fields, limits, strict=True)
        ]
        typed = [str(draw.randint(*ends)) for ends in ranges]
        settings.append({"chosen": chosen, "typed": typed, "times": draw.randint(1, 64)})
    results = calculators.evaluate_all(RESULTS, settings)
    for (box, _, _), (options, shown, rows) in zip(boxes, results, strict=True):
        own = known | formulas[box]
        sizes = {letter: int(str(size).replace(",", "")) for letter, size in (options | shown).items()}
        for title, said in rows:
            if title in own:
                assert said == value_of(own[title], sizes), (title, sizes)
                used.lengths.add(len(said))
    return len(boxes)


def use_pictures(page: Page, name: str, draw: random.Random, used: Used) -> int:
    """Turn each picture to its last state and to others at random, and compare with the frames that were drawn."""
    figures = page.locator("figure.picture").all()
    for figure in figures:
        data = json.loads(figure.evaluate(DATA))
        lengths = [len(keys) for _, keys, _, _ in data["controls"]]
        if lengths:
            expect(figure.locator("[data-control]").first).to_be_visible()
        last = [length - 1 for length in lengths]
        assert_shows(figure, data, [last, *([draw.randrange(length) for length in lengths] for _ in range(5))])
    return len(figures)


def use_exercises(page: Page, name: str, draw: random.Random, used: Used) -> int:
    """Give each exercise its right answer, and each wrong one that it knows; the audit is another test's."""
    exercises = page.locator("form.exercise:not(#exercise-the-fourth-report)").evaluate_all(VERDICTS)
    for hints, (*verdicts, right, unread) in exercises:
        assert verdicts == [f"Not yet. {hint}" for hint in hints]
        assert right.strip() == "Right."
        assert "I cannot read" in unread
    if name.startswith("lectures/"):
        assert page.locator("form.exercise").count() >= 3
    return len(exercises)


def use_questions(page: Page, name: str, draw: random.Random, used: Used) -> int:
    """Choose each answer of each question, and compare what is said of it with its reason."""
    questions = page.locator(".question").evaluate_all(SAID)
    for said, reasons in questions:
        assert said == reasons != []
    if name.startswith("lectures/"):
        total = page.locator("#quiz .question").count()
        expect(page.locator("#quiz > .progress")).to_have_text(f"{total} of {total} done")
    return len(questions)


USES = {
    "calculators": use_calculators,
    "pictures": use_pictures,
    "exercises": use_exercises,
    "questions": use_questions,
}


def use_controls(page: Page, name: str, draw: random.Random, used: Used) -> None:
    """Use all controls of a page, and note how many there are and what is wrong."""
    if not name.startswith("lectures/") and not page.locator(CONTROLS).count():
        return
    for kind, use in USES.items():
        try:
            used.number[kind][name] = use(page, name, draw, used)
        except AssertionError as error:
            used.wrong[kind][name] = str(error)
    page.evaluate("localStorage.clear()")  # nothing is done yet when the next page opens
