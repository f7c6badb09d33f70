"""Test live cells in a browser: change, run, stop, reset, by keyboard and pointer."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.support.browser import IN_BROWSER, axe_violations
from tests.support.html import read

pytestmark = IN_BROWSER

PAGE = "lectures/gradients.html"
LOADING = 60_000  # milliseconds, on a busy machine
#: Live cells that are in sight and show a formula.
CELLS = """[...document.querySelectorAll(".cell")].filter(
  (cell) => cell.querySelector(".cell-tools button")?.checkVisibility() && cell.querySelector(".cell_output .katex")
).map((cell) => cell.id)"""
DONE = re.compile(r"Done in \d+\.\d s")


@pytest.fixture(scope="module")
def opened(browser, address):
    """Open a lecture with its console and requests; all tests here share its Python."""
    with browser.new_page() as page:
        page.set_default_timeout(LOADING)
        complaints, requests = [], []
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", lambda request: requests.append(request.url))
        page.goto(f"{address}/{PAGE}", wait_until="networkidle")
        page.wait_for_function(f"{CELLS}.length")  # a script of the page makes the cells live
        yield page, complaints, requests
    assert complaints == []
    assert [request for request in requests if not request.startswith((address, "data:"))] == []


@pytest.fixture
def page(opened) -> Page:
    return opened[0]


@pytest.fixture
def cell(page):
    """Give the first live cell that shows a formula, and reset it afterwards."""
    cell = page.locator(f"#{page.evaluate(CELLS)[0]}")
    yield cell
    if (reset := cell.get_by_role("button", name="Reset")).is_visible():
        reset.click()


def status(cell):
    return cell.get_by_role("status")


def write(cell, code):
    if not cell.locator("textarea").count():
        cell.get_by_role("button", name="Edit").click()
    cell.locator("textarea").fill(code)


def run(cell, code, outcome=DONE):
    write(cell, code)
    cell.locator("textarea").press("Control+Enter")
    expect(status(cell)).to_have_text(outcome, timeout=LOADING)
    return cell.locator(".cell_output")


def formula(output):
    return output.locator("annotation").all_text_contents()


def test_nothing_of_the_engine_is_loaded_before_the_first_run(opened):
    assert [request for request in opened[2] if "worker" in request or "/engine/" in request] == []


def test_python_comes_when_a_pointer_rests_on_run_and_tells_how_far_it_is(page, cell):
    button = cell.get_by_role("button", name="Run")
    button.dispatch_event("pointerenter")
    button.dispatch_event("pointerleave")  # it passes
    assert page.evaluate("new Promise(done => setTimeout(done, 600))") is None
    assert page.workers == []
    with page.expect_event("worker"):
        button.hover()
    said = page.locator(".cell-tools").filter(has=page.locator("progress"))
    button.click()
    expect(said).to_contain_text(re.compile("Loading Python, once for this page|Starting Python…"))
    expect(said.get_by_role("progressbar")).to_have_accessible_name("Loading")
    expect(status(cell)).to_have_text(DONE, timeout=LOADING)


def test_a_changed_cell_shows_its_new_formula(cell):
    output = run(cell, "from sympy import symbols\nB, D, K = symbols('B D K')\n(2 * B * D * K).diff(D)")
    assert formula(output) == [r"\displaystyle 2 B K"]
    expect(output.locator(".katex")).to_be_visible()


def test_what_a_cell_builds_on_runs_first(page):
    last = page.locator(f"#{page.evaluate(CELLS)[-1]}")
    drawn = last.locator(".cell_output .katex-html")
    built = drawn.all_text_contents()
    last.get_by_role("button", name="Run").click()
    expect(status(last)).to_have_text(DONE, timeout=LOADING)
    expect(last.locator(".cell_output annotation")).not_to_have_count(0)  # the build leaves them out
    assert drawn.all_text_contents() == built
    last.get_by_role("button", name="Reset").click()


def test_values_print_as_in_a_notebook(cell):
    output = run(cell, "print('one', 'two')\n(1, 'three')")
    assert [text.strip() for text in output.locator("pre").all_inner_texts()] == ["one two", "(1, 'three')"]
    assert run(cell, "pass").count() == 0


def test_flopbook_is_there(cell):
    output = run(cell, "from flopbook.predict import flops, matmul\nflops(matmul('x[B,D] @ w[D,K] -> y[B,K]'))")
    assert formula(output) == [r"\displaystyle 2 B D K"]


def test_an_error_shows_the_readers_line(cell):
    output = run(cell, "share = 1\nshare / 0", "Stopped by an error")
    text = output.locator(".traceback").inner_text()
    assert text.startswith("ZeroDivisionError: division by zero")
    assert 'File "this cell", line 2' in text
    assert "share / 0" in text
    assert text.strip().endswith("ZeroDivisionError: division by zero")
    assert "pyodide" not in text


def test_a_long_message_is_read_without_scrolling(cell):
    output = run(cell, "def check():\n    raise ValueError('write a letter ' * 30)\ncheck()", "Stopped by an error")
    assert output.evaluate(
        "box => [box, ...box.querySelectorAll('*')].every(one => one.scrollWidth <= one.clientWidth)"
    )


def test_an_output_that_the_code_above_would_not_give_is_marked(page, cell):
    cell.get_by_role("button", name="Edit").click()
    run(cell, f"{cell.locator('textarea').input_value()}\n# another text")
    stale = page.locator(".cell.stale")
    expect(stale.first.get_by_role("group")).to_contain_text("A cell above has changed since: run again")
    marked = stale.evaluate_all("all => all.map(cell => cell.id)")
    assert cell.get_attribute("id") not in marked
    built_on_it = page.locator(f"#{marked[0]}")
    built_on_it.get_by_role("button", name="Run").click()
    expect(built_on_it).not_to_have_class(re.compile("stale"))
    cell.get_by_role("button", name="Reset").click()
    expect(stale).to_have_count(1)  # the output of the other code
    built_on_it.get_by_role("button", name="Reset").click()
    expect(stale).to_have_count(0)


def test_a_cell_that_imports_torch_says_where_torch_is(cell):
    assert "the notebook has all" in run(cell, "import torch", "Stopped by an error").inner_text()


def test_a_loop_without_end_is_stopped_with_those_that_wait_and_the_next_run_works(page, cell):
    first, second, third = (page.locator(f"#{id}") for id in page.evaluate(CELLS)[:3])
    before = page.evaluate("document.documentElement.scrollHeight")
    write(first, "while True: print('again')")
    first.get_by_role("button", name="Run").click()
    expect(first.locator(".left-out")).to_have_text(re.compile(r"^… [\d,]+ lines more$"))
    assert page.evaluate("document.documentElement.scrollHeight") < before + 500
    assert first.locator(".stream pre").get_attribute("tabindex") == "0"
    for waiting in (second, third):
        waiting.get_by_role("button", name="Run").click()
        expect(status(waiting)).to_have_text("Waiting")
    names = [each.get_by_role("group").get_attribute("aria-label").lower() for each in (first, second, third)]
    second.get_by_role("button", name="Stop").click()
    expect(status(first)).to_have_text(re.compile("^Stopped. All names are gone"))
    expect(status(first)).to_contain_text(f"Cancelled before they ran: {names[1]}, {names[2]}.")
    for waiting in (second, third):
        expect(status(waiting)).to_have_text(f"Cancelled before it ran, when {names[0]} was stopped.")
        expect(waiting.get_by_role("button", name="Run")).to_be_visible()
    assert status(first).locator("a").evaluate_all("all => all.map(link => document.querySelector(link.hash).id)") == [
        waiting.get_attribute("id") for waiting in (second, third)
    ]
    assert first.locator(".stream pre").text_content() == "again\n" * 2_000
    assert run(cell, "6 * 7").inner_text().strip() == "42"


def test_a_file_that_is_missing_is_named_and_may_come_later(page, cell):
    page.route("**/sympy.zip", lambda route: route.fulfill(status=404))
    run(cell, "while True: pass", "Running")
    cell.get_by_role("button", name="Stop").click()  # Python starts again
    expect(status(cell)).to_have_text(re.compile("^Stopped. All names are gone"))
    expect(cell.get_by_role("button", name="Run")).to_be_focused()
    run(cell, "1", re.compile(r"sympy\.zip: 404"))
    page.unroute("**/sympy.zip")
    assert run(cell, "1").inner_text().strip() == "1"


def test_a_question_to_the_reader_is_refused_in_words(cell):
    output = run(cell, "size = input('How many? ')", "Stopped by an error").inner_text().strip()
    assert "RuntimeError: input('How many? ') cannot read in the page: write the answer into the cell" in output
    assert 'File "this cell", line 1' in output


def test_reset_brings_back_what_the_build_made(cell):
    code, output = cell.locator("pre").first.inner_html(), cell.locator(".cell_output").inner_html()
    run(cell, "1 / 0", "Stopped by an error")
    cell.get_by_role("button", name="Reset").click()
    assert cell.locator("pre").first.inner_html() == code
    assert cell.locator(".cell_output").inner_html() == output
    expect(cell.locator("textarea")).to_have_count(0)
    expect(cell.get_by_role("button", name="Reset")).to_be_hidden()
    expect(cell.get_by_role("button", name="Run")).to_be_focused()


def test_the_keyboard_is_enough(page, cell):
    cell.get_by_role("button", name="Run").focus()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    field = cell.locator("textarea")
    expect(field).to_be_focused()
    page.keyboard.press("Control+A")
    page.keyboard.type("for i in range(2):\nprint(i)")
    assert field.input_value() == "for i in range(2):\n    print(i)"
    assert cell.locator("pre .k").first.inner_text() == "for"
    page.keyboard.press("Tab")
    expect(field).not_to_be_focused()
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Shift+Enter")
    expect(status(cell)).to_have_text(DONE)
    page.keyboard.press("Escape")
    expect(cell.get_by_role("button", name="Edit")).to_be_focused()
    assert cell.locator(".cell_output").inner_text().split() == ["0", "1"]


def test_code_is_changed_where_it_is_clicked(page, cell):
    cell.locator("pre").first.click(position={"x": 5, "y": 12})
    page.keyboard.type("# ")
    assert cell.locator("textarea").input_value().startswith("# ")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everyone_can_use_it(page, cell, scheme, width):
    run(cell, f"print('wide' * 100)\nsymbols = {'x' * 150!r}\nsymbols / 0", "Stopped by an error")
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    assert axe_violations(page, f"#{cell.get_attribute('id')}") == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_a_page_from_a_file_says_how_to_serve_it(site, page):
    with page.context.browser.new_page() as unserved:
        unserved.goto(f"file://{site / PAGE}")
        cell = unserved.locator(f"#{unserved.evaluate(CELLS)[0]}")
        cell.get_by_role("button", name="Run").click()
        expect(status(cell)).to_contain_text("make serve")


def test_the_page_says_once_how_many_cells_run_and_where_all_do(site, page):
    line = read(site / PAGE).select_one(".page-line")
    live, every = map(int, re.search(r"(\d+) of (\d+) cells run in this page; all run", line.get_text()).groups())
    assert 0 < live < every
    assert page.get_by_role("button", name="Run", include_hidden=True).count() == live  # some in folds
    assert (site / PAGE).parent.joinpath(line.select_one(".take-away")["href"]).is_file()
