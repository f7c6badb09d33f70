"""Test exercises on their pages: right in every spelling, wrong with a hint, kept."""

import json
import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import IN_BROWSER, axe_violations, contrast_violations

pytestmark = IN_BROWSER

LECTURE = "lectures/matrix-product.html"
BRACKETS = "#exercise-brackets-are-not-free"
LAYER = "#exercise-a-layer-of-a-language-model"
ANSWERED = ":is(#exercises, #quiz, .question)"  # what answers change; test_every_page.py asks axe about the whole
NO_STORAGE = """
for (const name of ["getItem", "setItem"]) {
  const allowed = Storage.prototype[name];
  Storage.prototype[name] = function (key, value) {
    if (key === "flopbook") throw new DOMException("denied");
    return allowed.call(this, key, value);
  };
}"""


def answer(page: Page, exercise: str, text: str) -> str:
    """Type and send an answer by keyboard, and return the verdict."""
    field = page.locator(f"{exercise} input")
    field.fill(text)
    field.press("Enter")
    return page.locator(f"{exercise} [role=status]").inner_text()


def test_a_right_answer_is_right_in_every_spelling(page, address):
    page.goto(f"{address}/{LECTURE}")
    for text in ("2BDR + 2BRK", "2*B*R*(D + K)", "2 B·R·K + D R B × 2"):
        assert answer(page, BRACKETS, "2BDR") != "Right."
        assert answer(page, BRACKETS, text) == "Right."
        expect(page.locator(BRACKETS)).to_contain_class("done")


def test_a_wrong_answer_gets_its_hint(page, address):
    page.goto(f"{address}/{LECTURE}")
    assert answer(page, BRACKETS, "BRD+BRK") == "Not yet. These are multiply-accumulates; each is 2 FLOPs."
    assert "I read 2*B*D*R*K. At B = 2" in answer(page, BRACKETS, "2BDRK")
    assert answer(page, LAYER, "184.7 GFLOPs") == "Right. Exactly it is 184683593728."
    expect(page.locator(BRACKETS)).not_to_contain_class("done")


def test_a_form_is_labelled_and_its_verdict_is_announced(page, address):
    page.goto(f"{address}/{LECTURE}")
    field = page.get_by_label("Your answer to exercise 3, Brackets are not free")
    field.focus()
    page.keyboard.type("2BDR")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    said = page.locator(f"{BRACKETS} [role=status]")
    expect(said).to_contain_text("Not yet.")
    expect(field).to_have_attribute("aria-describedby", said.get_attribute("id"))


def test_progress_survives_a_reload_and_can_be_erased(page, address):
    page.goto(f"{address}/{LECTURE}")
    section, link = page.locator("#exercises > .progress"), page.locator(".sidebar-tree a[href='#']")
    expect(section).to_have_text(re.compile(r"^0 of \d+ done$"))
    answer(page, BRACKETS, "2BR(D+K)")
    page.reload()
    expect(section).to_have_text(re.compile(r"^1 of \d+ done$"))
    expect(page.locator(f"{BRACKETS} input")).to_have_value("2BR(D+K)")
    expect(page.locator(f"{BRACKETS} [role=status]")).to_have_text("Right. ")
    expect(link).to_contain_text("1 of")
    page.goto(f"{address}/reference/notation.html")
    expect(page.locator(".sidebar-tree a", has_text="Matrix product")).to_contain_text("1/")

    page.once("dialog", lambda dialog: dialog.dismiss())
    page.get_by_role("button", name="Erase my progress").click()
    assert page.evaluate("JSON.parse(localStorage.flopbook).version") == 1
    page.once("dialog", lambda dialog: dialog.accept())
    page.get_by_role("button", name="Erase my progress").click()
    expect(page.get_by_role("button", name="Erase my progress")).to_have_count(0)
    page.goto(f"{address}/{LECTURE}")
    expect(section).to_have_text(re.compile(r"^0 of \d+ done$"))
    expect(page.locator(f"{BRACKETS} input")).to_have_value("")


@pytest.mark.parametrize(
    "kept", ["{", "[]", '{"version": 99}', '{"version": 1, "pages": {"lectures/matrix-product": {}}}']
)
def test_what_other_versions_kept_breaks_nothing(page, address, kept):
    page.add_init_script(f"localStorage.setItem('flopbook', {json.dumps(kept)})")
    page.goto(f"{address}/{LECTURE}")
    assert answer(page, BRACKETS, "2BR(D+K)") == "Right."
    expect(page.locator("#exercises > .progress")).to_have_text(re.compile(r"^1 of \d+ done$"))


def test_a_browser_that_keeps_nothing_checks_all_the_same(page, address):
    page.add_init_script(NO_STORAGE)
    page.goto(f"{address}/{LECTURE}")
    assert answer(page, BRACKETS, "2BR(D+K)") == "Right."
    expect(page.locator("#exercises > .progress")).to_have_text(re.compile(r"^1 of \d+ done$"))


def test_without_javascript_a_word_says_so(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}/{LECTURE}")
        expect(page.locator(f"{BRACKETS} noscript")).to_be_visible()


def test_verdicts_and_progress_are_accessible(page, address):
    page.goto(f"{address}/{LECTURE}")
    answer(page, BRACKETS, "2BR(D+K)")
    answer(page, LAYER, "2 * 4096 * 11008")
    page.locator(".question input[data-right]").first.check()
    page.locator(".question input:not([data-right])").last.check()
    assert axe_violations(page, ANSWERED) == []
    page.emulate_media(color_scheme="dark")
    assert contrast_violations(page, ANSWERED) == []
    page.set_viewport_size({"width": 390, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == 390


def test_the_audit_is_settled_claim_by_claim(page, address):
    page.goto(f"{address}/lectures/audit.html")
    audit = page.locator("#exercise-the-fourth-report")
    form = json.loads(audit.get_attribute("data-form"))
    audit.get_by_label("Claim c").fill("right")
    audit.get_by_role("button", name="Check").click()
    said = audit.get_by_role("status")
    expect(said).to_contain_text("0 of 10 claims settled.")
    expect(said).to_contain_text("c: missed. How can there be as many")
    for name, truth in form["claims"].items():
        audit.get_by_label(f"Claim {name}").fill(truth if isinstance(truth, str) else truth["right"])
    audit.get_by_label("Claim j").press("Enter")
    expect(said).to_have_text("Right. 10 of 10 claims settled.")
    page.reload()
    expect(said).to_have_text("Right. 10 of 10 claims settled.")
