"""Test that pictures in a browser show the frames that were drawn, however a reader turns them."""

import json
import re

import pytest
from playwright.sync_api import Locator, Page, expect

from flopbook.drawing.controls import Choice, Slider, Steps, Tick
from flopbook.drawing.picture import PICTURE, Frame, Picture
from flopbook.drawing.svg import rect, words
from flopbook.tables import Table
from tests.support.browser import IN_BROWSER, axe_violations, served
from tests.support.pictures import parts_in

pytestmark = IN_BROWSER

# Turn a picture as a reader does: the place of the value of each control.
TURN = """(figure, state) => figure.querySelectorAll("[data-control]").forEach((input, number) => {
  if (input.type === "checkbox") input.checked = Boolean(state[number]);
  else if (input.type === "range") input.value = state[number];
  else input.selectedIndex = state[number];
  input.dispatchEvent(new Event("input", { bubbles: true }));
})"""
# What the picture shows in each state, at some places: shapes, which follow the style, rows and the sentence.
SHOWN = f"""(figure, [states, places]) => states.map((state) => {{
  ({TURN})(figure, state);
  const shown = {{
    svg: [...figure.querySelector("svg.drawing").children].slice(1),
    rows: [...figure.querySelectorAll("details tbody tr")],
    said: [figure.querySelector("figcaption")],
  }};
  return places.map(([place, number]) => shown[place][number][place === "said" ? "textContent" : "outerHTML"]);
}})"""
DATA = 'figure => figure.querySelector(":scope > script").textContent'


def alike(markup: str) -> tuple[str, ...]:
    """Return the tags, attributes and words of some markup, however they are written."""
    plain = re.sub(r""" xmlns="[^"]*"|&lt;|&gt;|&amp;|&#x27;|'""", "", markup.replace(" hidden>", ' hidden="">'))
    return tuple(sorted(re.findall(r'[\w-]+="[^"]*"|(?<=>)[^<]+|(?<=<)\w+', plain)))


def assert_shows(figure: Locator, data: dict, states: list[list[int]]) -> None:
    """Turn a picture to each state, and compare all that changes with what was drawn."""
    drawn = [parts_in(data, state) for state in states]
    for seen, expected in zip(figure.evaluate(SHOWN, [states, list(drawn[0])]), drawn, strict=True):
        for (place, _), text, markup in zip(expected, seen, expected.values(), strict=True):
            assert text == markup if place == "said" else alike(text) == alike(markup)


def draw(B: int, wide: bool, name: str, step: int) -> Frame:
    shapes = [
        rect(0, 0, 10 * B, 10, "forward", data_set="B=4"),
        words(5, 20, f"{name} 1 {name}"),
        rect(0, 30, 10 * step, 10),
    ]
    rows = [(name, B)] * (2 if wide else 1)
    return Frame(
        [*shapes, *([rect(0, 45, 10, 10)] if wide else [])], f"{B} of {name} at {step}.", Table(["", "B"], rows)
    )


CONTROLS = [
    Slider("B", "B, rows of the matrix", [1, 2, 4], start=2),
    Tick("wide", "wide"),
    Choice("name", "Name", ["x", "a < b"]),
    Steps("step", "Step", range(4)),
]
PAGE = '<!doctype html><meta charset="utf-8"><title>A picture</title><style>{}</style>{}<script>{}</script>'


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """Serve a page with a picture of its own, as the site shows it."""
    picture = Picture("rows", "Some rows", 60, draw, CONTROLS)
    bundle = picture._repr_mimebundle_()
    style, script = (
        re.search(rf"<{tag}>(.*?)</{tag}>", str(bundle["text/html"]), re.DOTALL)[1] for tag in ("style", "script")
    )
    folder = tmp_path_factory.mktemp("picture")
    (folder / "index.html").write_text(PAGE.format(style, bundle[PICTURE]["html"], script), "utf-8")
    with served(folder) as address:
        yield f"{address}/index.html"


def sentence(page: Page) -> Locator:
    return page.locator("figcaption")


def test_a_picture_shows_every_frame_that_was_drawn(page, own):
    page.goto(own)
    figure = page.locator("figure")
    states = [[B, wide, name, B] for B in range(3) for wide in range(2) for name in range(2)]
    assert_shows(figure, json.loads(figure.evaluate(DATA)), states)


def test_the_keyboard_turns_a_picture(page, own):
    page.goto(own)
    page.get_by_label("B, rows").press("ArrowRight")
    expect(sentence(page)).to_have_text("4 of x at 0.")
    page.get_by_label("Name").press("ArrowDown")
    page.get_by_role("button", name="Step: on").press("Enter")
    expect(sentence(page)).to_have_text("4 of a < b at 1.")
    page.get_by_role("button", name="Step: back").press("Enter")
    page.get_by_role("button", name="Step: back").press("Enter")
    expect(sentence(page)).to_have_text("4 of a < b at 0.")
    expect(page.get_by_label("B, rows")).to_have_attribute("aria-valuetext", "4")


def test_a_slider_s_value_stands_beside_it_in_a_window_of_any_width(page, own):
    page.goto(own)
    for width in range(200, 420, 20):
        page.set_viewport_size({"width": width, "height": 800})
        for value in page.locator("output").all():
            slider = page.locator(f"#{value.get_attribute('for')}").bounding_box()
            beside = value.bounding_box()
            assert slider["y"] < beside["y"] + beside["height"] / 2 < slider["y"] + slider["height"]
            assert slider["x"] + slider["width"] <= beside["x"]
    page.set_viewport_size({"width": 1280, "height": 800})


def test_nobody_is_kept_out_of_a_picture(page, own):
    page.goto(own)
    assert axe_violations(page, "figure") == []
    page.locator("figure").evaluate(TURN, [2, 1, 1, 3])
    assert axe_violations(page, "figure") == []
    expect(page.locator("figure").get_by_role("status").filter(has_text="4 of a < b at 3.")).to_be_visible()


def test_play_goes_on_to_the_end_and_can_be_stopped(page, own):
    page.goto(own)
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").wait_for()
    expect(sentence(page)).to_have_text("2 of x at 3.")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.get_by_role("button", name="Play").click()
    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("button", name="Play")).to_be_visible()


def test_play_does_not_move_for_who_asks_for_rest(page, own):
    page.emulate_media(reduced_motion="reduce")
    page.goto(own)
    page.get_by_role("button", name="Play").click()
    assert sentence(page).text_content() == "2 of x at 3."


def test_a_shape_sets_what_it_stands_for(page, own):
    page.goto(own)
    page.locator("[data-set]").click()
    assert sentence(page).text_content() == "4 of x at 0."


def test_the_address_keeps_the_state(page, own):
    page.goto(own)
    page.locator("figure").evaluate(TURN, [2, 1, 1, 3])
    kept = page.url
    assert "rows.B=4" in kept
    page.goto("about:blank")
    page.goto(kept)
    assert sentence(page).text_content() == "4 of a < b at 3."
    assert page.get_by_label("wide").is_checked()
    page.locator("figure").evaluate(TURN, [1, 0, 0, 0])
    assert page.url == own


def test_a_state_that_does_not_exist_is_told(page, own):
    page.goto(f"{own}?rows.B=3&rows.step=2")
    assert sentence(page).text_content() == "2 of x at 2."
    assert "“3” is not a value of B" in page.locator(".tools").text_content()


def test_a_drawing_is_copied_with_its_colours(page, own):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(own)
    page.get_by_role("button", name="Copy as SVG").click()
    expect(page.locator(".tools [role=status]")).to_have_text("The drawing is copied.")
    svg = page.evaluate("navigator.clipboard.readText()")
    assert svg.startswith("<svg") and "#3f86cf" in svg and "var(" not in svg and "data-set=" not in svg
    page.get_by_role("button", name="Copy link").click()
    expect(page.locator(".tools [role=status]")).to_have_text("The link is copied.")
    assert page.evaluate("navigator.clipboard.readText()").endswith("#picture-rows")
