"""Test that a pasted config.json gives in a browser what `flopbook plan` gives, to the last digit."""

import json
import re
from fractions import Fraction

import pytest
from playwright.sync_api import Page, expect

from flopbook.command import main
from flopbook.published import names
from flopbook.teaching.calculators.html import long
from tests.support.browser import IN_BROWSER, axe_violations, contrast_violations

pytestmark = IN_BROWSER

LOADING = 180_000  # milliseconds, on a busy machine
PAGE = "reference/calculator.html"
#: Models that are in no list: one with a window, one with experts, one with scans beside attention.
WINDOW = dict(
    model_type="mistral", hidden_size=1536, num_hidden_layers=22, num_attention_heads=12, num_key_value_heads=4,
    intermediate_size=5632, vocab_size=40960, sliding_window=1000, tie_word_embeddings=True,
)  # fmt: skip
EXPERTS = dict(
    model_type="mixtral", hidden_size=1280, num_hidden_layers=18, num_attention_heads=20, num_key_value_heads=4,
    intermediate_size=3000, vocab_size=50000, num_local_experts=12, num_experts_per_tok=3,
)  # fmt: skip
SCANS = dict(
    model_type="bamba", hidden_size=1024, num_hidden_layers=10, vocab_size=40000, num_attention_heads=8,
    num_key_value_heads=2, intermediate_size=3500, mamba_n_heads=32, mamba_d_state=64, mamba_chunk_size=128,
    attn_layer_indices=[4, 9],
)  # fmt: skip
#: For each, what is chosen, and the sizes that are set.
RUNS = {
    "window": (WINDOW, {}, dict(T=4096, B=96, devices=24, budget=10**12, utilization=35)),
    "experts": (
        EXPERTS,
        {"Attention": "needed", "Checkpoints": "selective", "Sharding": "ZeRO 3", "Device": "B200 HGX, bf16"},
        dict(T=3001, B=512, devices=200, budget=7 * 10**11, utilization=44),
    ),
    "scans": (
        SCANS,
        {"Attention": "needed", "Checkpoints": "full", "Loss": "in 16 bits", "Precision": "float32"},
        dict(T=777, B=33, devices=2, budget=3 * 10**9, utilization=28),
    ),
}
OPTIONS = dict(T="--length", B="--batch", devices="--devices", budget="--tokens", utilization="--mfu")
ROWS = """box => Object.fromEntries([...box.querySelectorAll(".results tbody tr")].map(
  (row) => [row.querySelector("th").textContent, row.querySelector(".long").textContent]))"""


@pytest.fixture(scope="module")
def opened(browser, address):
    """Open the calculator with its requests; all tests here share its Python."""
    with browser.new_page() as page:
        page.set_default_timeout(LOADING)
        errors, requests = [], []
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: requests.append(request))  # noqa: PLW0108  (playwright marks what it calls)
        page.goto(f"{address}/{PAGE}")
        page.locator("details.own summary").click()
        yield page, requests
    assert errors == []
    assert [request.url for request in requests if not request.url.startswith((address, "data:", "blob:"))] == []
    assert {request.method for request in requests} == {"GET"}
    assert not any("hidden_size" in request.url for request in requests)


@pytest.fixture
def page(opened) -> Page:
    return opened[0]


def box(page):
    return page.locator("#calculator-model")


def use(page, text, said):
    """Paste a text, use it, and wait for what the page says of it."""
    own = box(page).locator("details.own")
    own.get_by_role("textbox", name="Paste a config.json, or drop the file here").fill(text)
    own.get_by_role("button", name="Use it").click()
    expect(own.get_by_role("status")).to_have_text(said, timeout=LOADING)


def chosen(page):
    return box(page).locator("[data-choice=model] option:checked").text_content()


def test_nothing_of_the_engine_is_loaded_before_it_is_used(opened):
    assert [request.url for request in opened[1] if "/engine/" in request.url] == []


def test_the_list_has_every_model_that_a_plan_can_hold(page):
    options = box(page).locator("[data-choice=model] option").all_text_contents()
    assert {"Llama 3.1 405B", "Mixtral 8x7B", "Bamba 9B"} <= set(options) - {"other"} <= set(names())
    assert "BERT base" not in options


@pytest.mark.parametrize("name", RUNS)
def test_a_pasted_config_gives_what_the_command_line_gives(page, name, tmp_path, capsys):
    config, choices, sizes = RUNS[name]
    use(page, json.dumps(config), re.compile(rf"^The model is your {config['model_type']}: [\d,]+ parameters\.$"))
    assert chosen(page).startswith(f"your {config['model_type']}: ")
    for label, option in choices.items():
        select = box(page).get_by_role("combobox", name=label, exact=True)
        names = select.locator("option").all_text_contents()
        select.select_option(label=next(one for one in names if one.startswith(option)))
    for letter, size in sizes.items():
        box(page).locator(f'[data-size="{letter}"] input[type="text"]').fill(str(size))
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    asked = [word for letter, size in sizes.items() for word in (OPTIONS[letter], str(size))]
    asked += [word for label, option in choices.items() for word in (f"--{label.lower()}", option)]
    assert main(["plan", str(tmp_path / "config.json"), "--json", *asked]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert box(page).evaluate(ROWS) == {title: long(Fraction(value)) for title, value in rows.items()}
    box(page).locator(".reset").click()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"model_type": "llama",}', r"^the text is not JSON: .* line 1 column 2\d \(char 2\d\)\.$"),
        ('{"model_type": "lama"}', r"^model_type = 'lama' is not understood: did you mean 'llama'\?$"),
        ('{"model_type": "llama", "hidden_sizes": 64}', r"^config has the key 'hidden_sizes', .* 'hidden_size'\?$"),
        ('{"model_type": "bert"}', r"^bert has the mask 'every', which a plan does not know: .*\.$"),
        ("import os", r"^the text is not JSON: .*\.$"),
        (" ", r"^The field is empty: paste the text of a config\.json\.$"),
    ],
)
def test_a_bad_paste_is_answered_in_one_sentence_and_the_model_stays(page, text, said):
    before = chosen(page), box(page).evaluate(ROWS)
    use(page, text, re.compile(said))
    assert (chosen(page), box(page).evaluate(ROWS)) == before
    assert box(page).locator("details.own textarea").get_attribute("aria-invalid") == "true"


def test_a_model_can_be_pasted_twice_and_the_address_does_not_keep_it(page):
    for _ in range(2):
        use(page, json.dumps(WINDOW), re.compile("^The model is your mistral"))
    own = [option for option in box(page).locator("option").all_text_contents() if option.startswith("your mistral")]
    assert len(own) == 1
    box(page).locator('[data-size="B"] input[type="text"]').fill("77")
    page.wait_for_url(re.compile(r"model\.B=77"))
    assert "mistral" not in page.url
    box(page).locator(".reset").click()
    assert chosen(page) == "Llama 3 8B"


def test_a_file_is_dropped(page):
    text = json.dumps(EXPERTS)
    page.locator("details.own").evaluate(
        """(box, text) => {
          const dataTransfer = new DataTransfer();
          dataTransfer.items.add(new File([text], "config.json", { type: "application/json" }));
          for (const kind of ["dragover", "drop"]) {
            box.dispatchEvent(new DragEvent(kind, { bubbles: true, cancelable: true, dataTransfer }));
          }
        }""",
        text,
    )
    expect(page.locator("details.own").get_by_role("status")).to_have_text("config.json is in the field.")
    assert page.locator("details.own textarea").input_value() == text
    expect(page.get_by_role("button", name="Use it")).to_be_focused()


def test_the_keyboard_is_enough(page):
    page.locator("details.own summary").focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")  # closed, and open again
    page.keyboard.press("Tab")
    expect(page.locator("details.own textarea")).to_be_focused()
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.insert_text(json.dumps(WINDOW))
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.locator("details.own").get_by_role("status")).to_have_text(re.compile("^The model is your mistral"))


def test_live_cells_and_the_field_share_one_python(page):
    cell = page.locator(".cell", has=page.get_by_role("group", name=re.compile("^Live cell"))).first
    cell.get_by_role("button", name="Edit").click()
    cell.locator("textarea").fill("6 * 7")  # its own code takes long
    cell.get_by_role("button", name="Run").click()
    expect(cell.get_by_role("status")).to_have_text(re.compile("^Done"), timeout=LOADING)
    use(page, json.dumps(WINDOW), re.compile("^The model is your mistral"))
    assert len(page.workers) == 1


def test_everyone_can_use_it(page):
    use(page, '{"model_type": "lama"}', re.compile("llama"))
    assert axe_violations(page, "#calculator-model") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 1280
    page.emulate_media(color_scheme="dark")
    page.set_viewport_size({"width": 390, "height": 800})
    assert contrast_violations(page, "#calculator-model") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
