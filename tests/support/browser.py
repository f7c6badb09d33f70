"""Run headless Chromium on the built site, for tests and benchmarks."""

import gzip
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, sync_playwright

from flopsite.takeaway.chromium import ARGUMENTS, MISSING, find_chromium
from tests.conftest import ROOT

AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
PAPER_WIDTH = 657  # CSS pixels between the margins of a page
# One element for each colour, size and background of text: a page repeats them thousands of times. Those that are known
# already are left out. Of a size it matters whether the text is large, which may be fainter; of what lies behind the
# text, what can be seen.
SAMPLE_TEXT = """([within, known]) => {
  const behind = new Map([[null, ""]]);
  const background = (element) => {
    if (behind.has(element)) return behind.get(element);
    const { backgroundColor, backgroundImage, opacity } = getComputedStyle(element);
    const layer = [backgroundColor, backgroundImage, opacity].join();
    const covers = /^rgb\\(/.test(backgroundColor) && opacity === "1";
    const below = covers ? "" : background(element.parentElement);
    behind.set(element, layer === "rgba(0, 0, 0, 0),none,1" ? below : `${layer} ${below}`);
    return behind.get(element);
  };
  const isLarge = (size, weight) => size >= 24 || (size > 18.66 && weight >= 700); // pixels
  const [kinds, sampled] = [new Set(known), []];
  for (const element of document.querySelectorAll(`${within}, ${within} *`)) {
    element.removeAttribute("data-sample");
    const hasText = [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    if (!hasText || element.closest(".katex-html") || !element.checkVisibility()) continue;
    const { color, fontSize, fontWeight, textShadow } = getComputedStyle(element);
    const kind = [color, isLarge(parseFloat(fontSize), fontWeight), textShadow, background(element)].join();
    if (kinds.has(kind)) continue;
    element.setAttribute("data-sample", "");
    kinds.add(kind);
    sampled.push(kind);
  }
  return sampled;
}"""
# Axe looks at all elements of a page, of which most are parts of formulas: glyphs, which it is to leave out, and MathML
# where it is not asked. They are taken out meanwhile.
ASK_AXE = """([within, options]) => {
  const elsewhere = (math) => math.matches(".katex-html") || !math.closest(within);
  const maths = [...document.querySelectorAll(".katex-html, .katex-mathml semantics")].filter(elsewhere);
  const parts = maths.map((math) => [math, [...math.childNodes]]);
  parts.forEach(([math]) => math.replaceChildren());
  axe.configure({ noHtml: true, rules: [{ id: "color-contrast", selector: "[data-sample]" }] });
  const where = { include: [[within]], exclude: [[".katex-html"]] };
  return axe.run(where, { resultTypes: ["violations"], ...options }).then((result) => {
    parts.forEach(([math, children]) => math.replaceChildren(...children));
    return result.violations;
  });
}"""
#: The marks of a module whose tests need Chromium.
IN_BROWSER = [
    pytest.mark.skipif(not find_chromium(), reason=MISSING),
    pytest.mark.filterwarnings("default"),  # the browser's driver has warnings of its own
]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=ARGUMENTS)
        yield browser
        browser.close()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def served(site: Path) -> Iterator[str]:
    """Serve the site on a free port, and yield the address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=site)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def note_responses(page: Page) -> list[Response]:
    """Return a list that grows with all that the page loads from now on."""
    responses: list[Response] = []
    page.on("response", lambda response: responses.append(response))  # noqa: PLW0108  (playwright marks what it calls)
    return responses


def weight(responses: list[Response], known: dict[str, int] | None = None) -> int:
    """Add up the bytes that a web server sends for a page, text compressed.

    Files whose bytes are `known` are not weighed again, and those that are weighed become known.
    """
    known = {} if known is None else known
    loaded = {response.url: response for response in responses if response.ok}
    for url in loaded.keys() - known.keys():
        body = loaded[url].body()
        known[url] = len(body if url.endswith(".woff2") else gzip.compress(body))
    return sum(known[url] for url in loaded)


def axe_violations(page: Page, within: str = "html", known: set[str] | None = None) -> list[str]:
    """Ask axe what keeps somebody out, in the colours that the page has now and in all other respects.

    Kinds of text that are `known` are not asked about again, and those that are asked about become known.

    The glyphs of a formula are left out: a screen reader reads its MathML, and
    their colour is that of the text around them (test_every_page.py holds it).
    """
    _mark_unknown_text(page, within, set() if known is None else known)
    return _ask_axe(page, within)


def contrast_violations(page: Page, within: str = "html", known: set[str] | None = None) -> list[str]:
    """Ask axe which text is too faint, but for the kinds that are known."""
    asked = _mark_unknown_text(page, within, set() if known is None else known)
    return _ask_axe(page, within, runOnly=["color-contrast"]) if asked else []


def _mark_unknown_text(page: Page, within: str, known: set[str]) -> bool:
    """Mark an element of each kind of text that is not known, note the kinds, and tell whether there are any."""
    found = page.evaluate(SAMPLE_TEXT, [within, list(known)])
    known.update(found)
    return bool(found)


def _ask_axe(page: Page, within: str, **options: object) -> list[str]:
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    violations = page.evaluate(ASK_AXE, [within, options])
    return [f"{v['id']}: {node['target']} {node['failureSummary']}" for v in violations for node in v["nodes"][:3]]
