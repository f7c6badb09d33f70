"""Test quizzes on their pages: each answer has a reason, and right ones are kept."""

from playwright.sync_api import Page, expect

from tests.browser.test_exercises import LECTURE
from tests.support.browser import IN_BROWSER

pytestmark = IN_BROWSER


def test_a_question_works_by_keyboard_and_unfolds_the_other_reasons(page: Page, address):
    page.goto(f"{address}/{LECTURE}")
    question = page.get_by_role("group", name="The FLOPs become")
    said, details = question.get_by_role("status"), question.locator("details")
    expect(details).to_be_hidden()
    question.get_by_role("radio").first.focus()
    page.keyboard.press("Space")
    expect(said).to_contain_text("Not so. So it is in a layer with parameters.")
    expect(said).to_have_class("wrong")
    expect(details).to_be_hidden()
    page.keyboard.press("ArrowDown")
    expect(said).to_have_class("right")
    expect(details).to_be_visible()
    assert details.get_attribute("open") is None


def test_a_right_answer_survives_a_reload_and_a_wrong_one_does_not(page: Page, address):
    page.goto(f"{address}/{LECTURE}")
    questions = page.locator("#quiz .question")
    questions.nth(0).locator("input[data-right]").check()
    questions.nth(1).locator("input:not([data-right])").first.check()
    page.reload()
    expect(questions.nth(0).locator("input[data-right]")).to_be_checked()
    expect(questions.nth(0).get_by_role("status")).to_contain_text("Right.")
    assert questions.nth(1).locator("input:checked").count() == 0
    expect(page.locator("#quiz > .progress")).to_have_text("1 of 3 done")


def test_without_javascript_the_reasons_unfold(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        bare = context.new_page()
        bare.goto(f"{address}/{LECTURE}")
        details = bare.locator("#quiz .question details").first
        details.locator("summary").click()
        expect(details).to_contain_text("So it is in a layer with parameters.")
