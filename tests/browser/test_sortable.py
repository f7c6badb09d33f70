"""Test tables that a reader sorts and filters, with a pointer and by keyboard."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import IN_BROWSER, axe_violations

pytestmark = IN_BROWSER
ADDRESS = "/reference/published-models.html"


@pytest.fixture(scope="module")
def page(browser, address) -> Iterator[Page]:
    """Open the page once for all tests; an error in its scripts fails the last one."""
    errors: list[str] = []
    with browser.new_page() as page:
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}{ADDRESS}")
        yield page
    assert errors == []


@pytest.fixture
def box(page) -> Iterator[Locator]:
    """Give the first table, and choose its first length again afterwards."""
    box = page.locator(".sortable").first
    expect(box.get_by_role("status")).to_contain_text("All ")
    yield box
    box.locator("input[checked]").check()


def names(box: Locator) -> list[str]:
    return box.locator("tbody tr:visible th > button").all_text_contents()


def numbers(box: Locator, column: int) -> list[float]:
    """Return what a column shows, without dashes."""
    shown = box.locator(f"tbody tr:visible td:nth-of-type({column}) data:visible").all_text_contents()
    return [float(text.replace(",", "")) for text in shown if text != "—"]


def test_a_heading_sorts_by_keyboard_and_says_how(box, page):
    head = box.get_by_role("columnheader", name="Parameters")
    head.get_by_role("button").focus()
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "descending")
    found = numbers(box, 2)
    assert found == sorted(found, reverse=True) and found[0] > 100
    page.keyboard.press("Enter")
    expect(head).to_have_attribute("aria-sort", "ascending")
    assert numbers(box, 2) == sorted(found)
    expect(box.get_by_role("status")).to_contain_text("ascending")
    box.get_by_role("columnheader", name="Model").get_by_role("button").click()
    expect(box.locator("[aria-sort]")).to_have_count(1)
    listed = names(box)
    assert [name[0].lower() for name in listed] == sorted(name[0].lower() for name in listed)
    assert listed.index("Gemma 2 9B") + 1 == listed.index("Gemma 2 27B")  # by their numbers


def test_rows_without_a_number_stand_at_the_end(box):
    button = box.get_by_role("columnheader", name="Dense").get_by_role("button")
    for _ in range(2):
        button.click()
        assert {*names(box)[-2:]} == {"GPT-2", "GPT-2 XL"}


def test_another_length_is_sorted_anew(box):
    box.get_by_role("columnheader", name="Needed").get_by_role("button").click()
    before = names(box)
    box.get_by_label("131,072").check()
    assert names(box) != before
    found = numbers(box, 5)
    assert found == sorted(found, reverse=True)


def test_words_filter_rows(box):
    everything = len(names(box))
    box.get_by_label("Show rows with").fill("Llama 3.1")
    assert names(box) == ["Llama 3.1 405B", "Llama 3.1 70B", "Llama 3.1 8B"]
    expect(box.get_by_role("status")).to_have_text(f"3 of {everything} rows")
    box.get_by_label("Show rows with").fill("no such model")
    assert names(box) == []
    box.get_by_label("Show rows with").fill("")
    assert len(names(box)) == everything


def test_a_name_opens_what_is_known_and_escape_closes_it(box, page):
    box.get_by_role("button", name="Llama 3 8B", exact=True).press("Enter")
    card = page.locator("#model-llama-3-8b")
    expect(card).to_contain_text("8,030,261,248")
    assert axe_violations(page, "tr:has(#model-llama-3-8b)") == []  # test_every_page.py asks about the whole
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def test_without_scripts_it_is_a_table_with_one_length(browser, address):
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{address}{ADDRESS}")
        box = page.locator(".sortable").first
        row = box.locator("tr", has_text="Llama 3.1 70B").first
        expect(row.locator("td:nth-of-type(4) data:visible")).to_have_count(1)
        first = row.locator("td:nth-of-type(4) data:visible").text_content()
        box.get_by_label("1,024").check()
        assert row.locator("td:nth-of-type(4) data:visible").text_content() != first
