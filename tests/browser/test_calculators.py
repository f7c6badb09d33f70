"""Test that calculators in a browser show the formulas' values, at any setting."""

import re
from collections.abc import Callable, Iterator
from functools import cache

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.support.browser import IN_BROWSER

pytestmark = IN_BROWSER

MATMUL = "lectures/matrix-product.html"
WHOLE = "reference/calculator.html"
WINDOW, PHONE = ({"width": width, "height": 800} for width in (1280, 390))

# The sizes that choices set and fields show, and the rows of results.
SHOWN = """(box) => {
  const chosen = [...box.querySelectorAll("option:checked")].map((one) => JSON.parse(one.dataset.sizes ?? "{}"));
  const fields = [...box.querySelectorAll(".size")];
  const typed = fields.map((size) => [size.dataset.size, size.querySelector("[type=text]").value]);
  const rows = [...box.querySelectorAll(".results tbody tr")];
  const said = rows.map((row) => [row.querySelector("th").innerText, row.querySelector(".long").innerText]);
  return [Object.assign({}, ...chosen, Object.fromEntries(typed)), said];
}"""


def calculator(page: Page, name: str) -> Locator:
    return page.locator(f"#calculator-{name}")


def field(box: Locator, name: str) -> Locator:
    return box.locator(f'[data-size="{name}"] input[type="text"]')


def slider(box: Locator, name: str) -> Locator:
    return box.locator(f'[data-size="{name}"] input[type="range"]')


def exactly(box: Locator, row: int = 0) -> str:
    return box.locator(".results .long").nth(row).inner_text()


@pytest.fixture(scope="module")
def opened(browser, address) -> Iterator[Callable[[str], Page]]:
    """Open a page once for all tests that leave it as they found it; an error in its scripts fails the last test."""
    errors: list[str] = []

    @cache
    def open_page(name: str) -> Page:
        page = browser.new_page(viewport=WINDOW)
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(f"{address}/{name}")
        return page

    yield open_page
    assert errors == []


@pytest.fixture
def matmul(opened) -> Iterator[Locator]:
    """Give the calculator of a matrix product, and reset it afterwards."""
    yield from then_reset(calculator(opened(MATMUL), "matmul"))


@pytest.fixture
def decoder(opened) -> Iterator[Locator]:
    """Give the calculator of whole models, on a page that takes long to load, and reset it afterwards."""
    yield from then_reset(calculator(opened(WHOLE), "decoder"))


def then_reset(box: Locator) -> Iterator[Locator]:
    yield box
    box.page.set_viewport_size(WINDOW)
    box.locator(".reset").click()


def test_the_slider_steps_by_the_keyboard(matmul):
    box, page = matmul, matmul.page
    slider(box, "B").focus()
    for key, size in [
        ("ArrowRight", "96"),
        ("ArrowRight", "128"),
        ("ArrowLeft", "96"),
        ("End", "65,536"),
        ("Home", "1"),
    ]:
        page.keyboard.press(key)
        assert field(box, "B").input_value() == slider(box, "B").get_attribute("aria-valuetext") == size
        assert exactly(box) == f"{2 * int(size.replace(',', '')) * 32 * 48:,}"


def test_the_keyboard_is_enough(matmul):
    box, page = matmul, matmul.page
    box.locator("select").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    assert field(box, "B").evaluate("field => field === document.activeElement")
    page.keyboard.press("Control+a")
    page.keyboard.type("4_096")
    assert exactly(box) == f"{2 * 4096 * 32 * 48:,}"
    box.locator(".reset").focus()
    page.keyboard.press("Enter")
    assert (field(box, "B").input_value(), exactly(box)) == ("64", "196,608")


def test_sizes_are_read_as_people_write_them(matmul):
    for text, size in {
        "1,000,000": 10**6,
        "1_000_000": 10**6,
        "1 000 000": 10**6,
        "1e6": 10**6,
        "1.25E+6": 1_250_000,
        "7B": 7 * 10**9,
        "1.5 t": 15 * 10**11,
        "0.5M": 500_000,
        "12.0": 12,
    }.items():
        field(matmul, "D").fill(text)
        expect(matmul.locator('[data-size="D"] .wrong')).to_be_hidden()
        assert (text, exactly(matmul)) == (text, f"{2 * 64 * size * 48:,}")
        field(matmul, "D").blur()
        assert (text, field(matmul, "D").input_value()) == (text, f"{size:,}")


def test_a_text_that_is_not_a_size_gets_a_message_and_leaves_no_result(matmul):
    wrong = ["4k", "1.000", "-1", "1.5", "1.55e1", "1,5e3", "1e", "7X", "0", "0e5", "", "9" * 31, "1e31", "1e999999999"]
    for before, text in enumerate(wrong, 32):
        field(matmul, "D").fill(text)
        expect(matmul.locator('[data-size="D"] .wrong')).to_contain_text(f"“{text}” is")
        assert field(matmul, "D").get_attribute("aria-invalid") == "true"
        assert (text, exactly(matmul), matmul.locator(".results .short").first.inner_text()) == (text, "", "–")
        assert matmul.locator(".curve svg").count() == 0
        assert matmul.locator(".put-in .as-text").text_content() == "2*64*?*48"
        field(matmul, "D").fill(str(before + 1))
        expect(matmul.locator('[data-size="D"] .wrong')).to_be_hidden()
        assert exactly(matmul) == f"{2 * 64 * (before + 1) * 48:,}"


def test_what_was_refused_waits_to_be_mended(matmul):
    box, page = matmul, matmul.page
    wrong = box.locator('[data-size="D"] .wrong')
    field(box, "D").fill("4k")
    field(box, "K").fill("49")
    expect(wrong).to_contain_text("“4k” is not clear")
    assert (field(box, "D").input_value(), exactly(box)) == ("4k", "")
    slider(box, "D").focus()
    page.keyboard.press("Home")
    expect(wrong).to_be_hidden()
    assert field(box, "D").input_value() == "1"
    field(box, "D").fill("")
    box.locator(".reset").click()
    expect(wrong).to_be_hidden()
    assert field(box, "D").input_value() == "32"


def test_the_curve_reaches_a_size_beyond_the_slider_and_marks_it(matmul):
    field(matmul, "B").fill("1e6")
    svg = matmul.locator(".curve svg")
    expect(svg).to_have_attribute("aria-label", re.compile("over B from 1 to 1,000,000"))
    points = svg.locator("polyline").get_attribute("points").split()
    assert (
        svg.locator(".now").get_attribute("x1") == svg.locator(".point").get_attribute("cx") == points[-1].split(",")[0]
    )
    assert "3.07 GFLOPs" in svg.text_content()


def test_what_does_not_fit_is_said_with_what_to_do(decoder):
    row, advice = decoder.locator(".results tbody tr", has_text="Memory of a device"), decoder.locator(".too-much")
    expect(row.locator(".short")).to_have_text("2.18 × too much")
    expect(advice).to_contain_text("sharding")
    field(decoder, "memory").fill("192G")
    expect(row.locator(".short")).to_have_text("91.0% of it")
    expect(advice).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_results_that_decide_stay_in_sight_of_every_size(decoder, width):
    decoder.page.set_viewport_size({"width": width, "height": 800})
    shown = ".given .results" if width > 1000 else ".watched"
    for size in decoder.locator(".size input[type=text]").all():
        size.scroll_into_view_if_needed()
        place = decoder.locator(shown).bounding_box()
        assert place["y"] < 800 and place["y"] + place["height"] > 0
    if width < 1000:
        field(decoder, "L").fill("64")
        rows = {
            row.locator("th").inner_text(): row.locator(".short").inner_text()
            for row in decoder.locator(".results tbody tr").all()
        }
        for told in decoder.locator(".watched b").all():
            assert told.inner_text() == rows[told.get_attribute("data-row")]


def test_heads_that_cannot_be_shared_get_a_message_at_once(decoder):
    wrong, results = decoder.locator('[data-size="G"] .wrong'), decoder.locator(".results tbody")
    before = results.inner_text()
    field(decoder, "H").fill("12")
    expect(wrong).to_have_text("G = 8 does not divide H = 12: write a divisor, such as 4 or 12")
    assert field(decoder, "G").get_attribute("aria-invalid") == "true"
    assert set(decoder.locator(".results .short").all_inner_texts()) == {"–"}
    assert set(decoder.locator(".results .long").all_inner_texts()) == {""}
    expect(decoder.locator(".said")).to_have_text("G = 8 does not divide H = 12: write a divisor, such as 4 or 12.")
    field(decoder, "G").fill("4")
    expect(wrong).to_be_hidden()
    assert (results.inner_text() != before) and "–" not in results.inner_text()
    decoder.locator(".reset").click()
    assert results.inner_text() == before


def test_results_are_readable_at_any_size(decoder):
    field(decoder, "budget").fill("1e29")
    field(decoder, "B").fill("1e29")
    row = {row.locator("th").inner_text(): row for row in decoder.locator(".results tbody tr").all()}
    assert row["One step"].locator(".short").inner_text() == "4.74e43 FLOPs"
    assert row["Parameters"].locator(".short").inner_text() == "8.03e9"
    assert row["Parameters"].locator(".long").inner_text() == "8,030,261,248"
    digits = [len(re.findall(r"\d", text)) for text in decoder.locator(".results .short").all_inner_texts()]
    assert max(digits) <= 6


@pytest.fixture
def phone(browser) -> Iterator[Page]:
    with browser.new_page(viewport=PHONE) as page:
        yield page


INSIDE = "box => box.scrollWidth <= box.clientWidth && document.documentElement.scrollWidth <= innerWidth"


def test_a_long_formula_goes_on_in_the_next_line(address, phone):
    phone.goto(f"{address}/lectures/transformer.html")
    box = calculator(phone, "decoder-step")
    line = box.locator(".put-in").first
    height = line.bounding_box()["height"]
    for name in "BDEFHLTV":
        field(box, name).fill("123456789")
    for media in ("screen", "print"):
        phone.emulate_media(media=media)
        assert line.evaluate(INSIDE)
        assert line.bounding_box()["height"] > height
        whole = line.bounding_box()
        for number in line.locator("[data-put]").all():
            place = number.bounding_box()
            assert whole["x"] <= place["x"] and place["x"] + place["width"] <= whole["x"] + whole["width"]


def test_long_results_have_a_line_of_their_own_on_a_phone(decoder):
    decoder.page.set_viewport_size(PHONE)
    row = decoder.locator(".results tbody tr", has_text="One step")
    about, exact = row.locator(".short").bounding_box(), row.locator(".long").bounding_box()
    assert exact["y"] >= about["y"] + about["height"] > exact["y"] - 5
    assert exact["height"] < 30


def test_the_lines_of_a_curve_are_named_in_full_on_a_phone(address, phone):
    phone.goto(f"{address}/lectures/memory.html")
    names = phone.locator(".curve li")
    assert [name[-12:] for name in names.all_inner_texts()] == ["rs with SiLU", "ReLU or tanh"]
    assert all(name.evaluate(INSIDE) for name in names.all())


def test_the_formula_takes_the_numbers(matmul):
    field(matmul, "K").fill("1000")
    assert re.sub(r"\s", "", matmul.locator(".put-in .katex-html").inner_text()) == "2×64×32×1,000"
    assert matmul.locator(".put-in .as-text").text_content() == "2*64*32*1000"


def test_results_are_read_aloud_when_the_reader_pauses(address, page):
    page.goto(f"{address}/{MATMUL}")
    box = calculator(page, "matmul")
    assert box.locator(".said").text_content() == ""
    field(box, "B").fill("128")
    expect(box.locator(".said")).to_contain_text("A matrix product: 393 kFLOPs; A matrix product, time")


def test_the_curve_has_a_text(matmul):
    said = matmul.locator(".curve svg").get_attribute("aria-label")
    assert said == "Curve over B from 1 to 65,536. A matrix product: from 3.07 kFLOPs to 201 MFLOPs."


def test_a_link_restores_the_state(address, page, browser):
    page.goto(f"{address}/{MATMUL}?other=1#turn-the-sizes")
    box = calculator(page, "matmul")
    field(box, "B").fill("100")
    box.locator("select").select_option(label="A100 SXM 80GB, fp16")
    page.wait_for_url(re.compile(r"matmul\.device"))
    kept = page.url.partition("?")[2]
    assert kept == "other=1&matmul.device=A100+SXM+80GB%2C+fp16&matmul.B=100#turn-the-sizes"
    with browser.new_page() as other:
        other.goto(page.url)
        again = calculator(other, "matmul")
        assert again.evaluate(SHOWN) == box.evaluate(SHOWN)
        again.locator(".reset").click()
        assert other.url.partition("?")[2] == "other=1#turn-the-sizes"


def test_calculators_of_one_page_keep_to_themselves_and_refuse_a_size_that_cannot_be(address, page):
    page.goto(f"{address}/{WHOLE}?mlp.L=5&decoder.model=GPT-3+175B&decoder.L=7&decoder.tables=3")
    box = calculator(page, "decoder")
    assert [field(calculator(page, name), "L").input_value() for name in ("mlp", "decoder")] == ["5", "7"]
    assert box.locator("[data-choice=model] option:checked").inner_text() == "other"
    assert field(box, "D").input_value() == "12,288"
    expect(box.locator(".told")).to_contain_text("tables: “3” is out of range: write 1 to 2")
    field(box, "utilization").fill("101")
    expect(box.locator('[data-size="utilization"] .wrong')).to_have_text("“101” is out of range: write 1 to 100")


def test_parts_of_an_address_without_meaning_are_named(address, page):
    page.goto(f"{address}/{MATMUL}?matmul.B=4k&matmul.device=abacus&matmul.K=49")
    box = calculator(page, "matmul")
    assert exactly(box) == f"{2 * 64 * 32 * 49:,}"
    told = box.locator(".told").inner_text()
    assert "“abacus” is not a known device" in told and "B: “4k” is not clear" in told


def test_the_link_is_copied(address, browser):
    with browser.new_context(permissions=["clipboard-read", "clipboard-write"]) as context:
        page = context.new_page()
        page.goto(f"{address}/{MATMUL}")
        box = calculator(page, "matmul")
        field(box, "B").fill("7")
        box.locator(".copy-link").click()
        expect(box.locator(".told")).to_have_text("The link is copied.")
        copied = page.evaluate("navigator.clipboard.readText()")
        assert copied == f"{address}/{MATMUL}?matmul.B=7#calculator-matmul"


@pytest.mark.parametrize("name", [MATMUL, WHOLE])
def test_without_javascript_the_results_stand_there(address, browser, opened, name):
    with browser.new_context(java_script_enabled=False) as context:
        plain = context.new_page()
        plain.goto(f"{address}/{name}")
        assert plain.locator(".calculator input:visible, .calculator button:visible").count() == 0
        tables = [each.locator(".calculator .results").all_text_contents() for each in (opened(name), plain)]
    assert tables[0] == tables[1] != []
