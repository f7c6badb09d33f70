"""Test that the first page asks a question and answers it, with the numbers of the whole-model calculator."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator

from tests.support.browser import IN_BROWSER

pytestmark = IN_BROWSER

PANEL = ".tag_panel .picture.ready"
# The rows of the panel's table, and of the calculator's results, by their titles.
TABLE = """table => Object.fromEntries([...table.querySelectorAll("tbody tr")].map(
  (row) => [...row.children].map((cell) => cell.textContent)))"""
RESULTS = """box => Object.fromEntries([...box.querySelectorAll(".results tbody tr")].map(
  (row) => [row.querySelector("th").innerText.split("\\n")[0], row.querySelector(".long").innerText.split(" ")[0]]))"""


@pytest.mark.parametrize("width, height", [(1280, 900), (390, 844)])
def test_the_first_screen_has_the_question_the_answer_and_three_ways_in(page, address, width, height):
    page.set_viewport_size({"width": width, "height": height})
    page.goto(f"{address}/index.html")
    page.wait_for_selector(PANEL)
    ways = page.locator(".start a").all()
    assert len(ways) == 3
    for shown in [page.locator(".ask"), page.locator(f"{PANEL} figcaption"), *ways]:
        box = shown.bounding_box()
        assert box["y"] + box["height"] <= height, shown
    assert page.evaluate("document.documentElement.scrollWidth") == width


@pytest.fixture(scope="module")
def calculator(browser, address) -> Iterator[Locator]:
    """Open the whole-model calculator once, since its page takes long to load."""
    with browser.new_page() as page:
        page.set_default_timeout(60_000)
        page.goto(f"{address}/reference/calculator.html")
        yield page.locator("#calculator-decoder")


@pytest.mark.parametrize(
    "run",
    [
        ("Llama 3 8B", "512 × H100 SXM, bf16", 8192),
        ("GPT-2 small", "8 × H100 SXM, bf16", 1024),
        ("Llama 3 405B", "512 × B200 HGX, bf16", 131072),
    ],
)
def test_the_panel_and_the_calculator_agree_to_the_last_digit(page, address, calculator, run):
    model, devices, T = run
    page.goto(f"{address}/index.html?training-run.model={model}&training-run.devices={devices}&training-run.T={T}")
    shown = page.locator(f"{PANEL} details table").evaluate(TABLE)
    number, _, device = devices.partition(" × ")
    calculator.locator(".reset").click()
    for choice in (model, device):
        calculator.locator("select", has=calculator.page.locator("option", has_text=choice)).first.select_option(
            label=choice
        )
    for letter, size in {"T": T, "devices": number}.items():
        field = calculator.locator(f'[data-size="{letter}"] input[type="text"]')
        field.fill(f"{size}")
        field.blur()
    results = calculator.evaluate(RESULTS)
    for title in ("Forward pass", "Backward pass", "Update", "One step"):
        assert shown[f"{title}, FLOPs"] == results[title]
    for title in ("Bytes of parameters", "Bytes of activations", "All bytes"):
        assert shown[title] == results[title]
