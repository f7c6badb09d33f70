"""Look at a page of the built site in every way that a browser offers."""

from dataclasses import dataclass, field

from playwright.sync_api import Browser

from tests.support.browser import PAPER_WIDTH, axe_violations, contrast_violations, note_responses, weight

HEIGHT = 100  # of the window, in pixels: no claim is about it, and to paint less takes less time
SCREEN = {"width": 1280, "height": HEIGHT}
MATH = """[...document.querySelectorAll(".math")].filter(math => math.checkVisibility())
  .map(math => math.querySelector(".katex")?.offsetHeight ?? 0)"""
# What can be seen and operated, yet the Tab key does not stop there, or does not show that it has the focus.
# It goes past links to headings, which the sidebar has too, and buttons that copy.
CONTROLS = "a[href], button, input, select, textarea, summary, [tabindex]:not([tabindex='-1']), [contenteditable]"
UNFOCUSED = f"""[...document.querySelectorAll("{CONTROLS}")]
  .filter(control => !control.matches(".headerlink, .copybtn"))
  .filter(control => control.checkVisibility({{ visibilityProperty: true }}) && !control.disabled)
  .filter(control => {{
    control.focus({{ preventScroll: true }});
    const {{ outlineStyle, outlineWidth }} = getComputedStyle(control);
    const shown = outlineStyle !== "none" && parseFloat(outlineWidth) > 0;
    return control.tabIndex < 0 || document.activeElement !== control || !shown;
  }})
  .map(control => control.outerHTML.slice(0, 120))"""
# Formulas that their numbers cover, at the width of the window.
OVERLAPS = """[...document.querySelectorAll(".math > .eqno")].filter((number) => {
  const formula = number.parentElement.querySelector(".katex-display").getBoundingClientRect();
  return formula.width && formula.right > number.getBoundingClientRect().left;
}).map((number) => number.textContent)"""
# Marks that begin a line, since they are parted from the formula before them.
PARTED = """[...document.querySelectorAll("[role=main] span.math")].filter((math) => {
  const [mark, last] = [math.nextSibling, [...math.querySelectorAll(".base")].at(-1)];
  if (mark?.nodeType !== 3 || !/^[.,;:?!)’”]/.test(mark.data) || !last?.checkVisibility()) return false;
  const range = document.createRange();
  range.setStart(mark, 0);
  range.setEnd(mark, 1);
  return range.getBoundingClientRect().left < last.getBoundingClientRect().left;
}).map((math) => math.parentElement.textContent.slice(0, 60))"""
# Formulas of another colour than the text around them.
COLOURED = """[...document.querySelectorAll(".katex-html")].filter((glyphs) =>
  getComputedStyle(glyphs).color !== getComputedStyle(glyphs.closest(".katex").parentElement).color
  || glyphs.querySelector("[style*=color]")
).map((glyphs) => `${glyphs.closest("section")?.id} ${glyphs.textContent.slice(0, 60)}`)"""
# Copy a page but for its scripts and what repeats, so that axe need not be asked about it again, and is most of its
# elements: glyphs of formulas, parts of MathML, further words of a kind in a block of code, further shapes of a kind in
# a drawing, further rows of a table, further names of a module, and, beside every page but the first, the tree of the
# book. Shadows at the edges of what scrolls are images, and axe judges no text on an image. The reader is at the first
# heading of the table of contents, as when the page is scrolled.
COPY = """() => {
  const page = document.documentElement.cloneNode(true);
  page.querySelectorAll(".katex-html, .katex-mathml semantics").forEach((one) => one.replaceChildren());
  page.querySelectorAll("script, dl.py ~ dl.py, tbody tr:nth-child(n + 6)").forEach((one) => one.remove());
  if (!location.pathname.endsWith("/index.html")) page.querySelector(".sidebar-tree")?.replaceChildren();
  for (const whole of page.querySelectorAll("pre, svg")) {
    const kinds = new Set();
    for (const part of whole.querySelectorAll("span:not(:has(*)), svg :not(:has(*), title, [role], [tabindex])")) {
      const kind = `${part.tagName} ${part.getAttribute("class")}`;
      if (kinds.has(kind)) part.replaceWith(part.textContent);
      kinds.add(kind);
    }
  }
  page.querySelector("head").insertAdjacentHTML("beforeend", "<style>* { background-image: none !important }</style>");
  page.querySelector(".toc-tree li")?.classList.add("scroll-current");
  return new XMLSerializer().serializeToString(page);
}"""
# Show the copy of a page at its address in place of the page that is shown, of which the scripts stay.
SHOW = """async ([address, copy]) => {
  history.replaceState(null, "", address);
  const page = document.adoptNode(new DOMParser().parseFromString(copy, "application/xhtml+xml").documentElement);
  const loaded = [...page.querySelectorAll("link[rel=stylesheet]")].map((style) =>
    new Promise((resolve, reject) => Object.assign(style, { onload: resolve, onerror: reject })));
  document.documentElement.replaceWith(page);
  await Promise.all(loaded);
}"""
# What scrolls sideways without a shadow on the edge behind which there is more.
UNHINTED = """[...document.querySelectorAll("pre, .table-wrapper, .text_html, .katex-display, .figure, .put-in")]
  .filter((box) => box.checkVisibility() && box.scrollWidth > box.clientWidth + 1)
  .filter((box) => getComputedStyle(box).overflowX === "auto")
  .filter((box) => !getComputedStyle(box).backgroundImage.includes("gradient"))
  .map((box) => `${box.className || box.tagName} ${box.textContent.trim().slice(0, 60)}`)"""
# What stands out to the right of the page, but for what is drawn.
WIDER_THAN_PAPER = """[...document.querySelectorAll("[role=main] *")]
  .filter((one) => one.checkVisibility() && !one.closest("svg, .katex-mathml, .unseen"))
  .filter((one) => one.getBoundingClientRect().right > innerWidth + 1)
  .map((one) => `${one.tagName} ${one.className} ${one.textContent.trim().slice(0, 60)}`)"""
# Tables that are cut off in their column.
CUT_TABLES = """[...document.querySelectorAll("[role=main] table")].filter((table) => table.checkVisibility())
  .filter((table) => {
    const boxes = [".table-wrapper", ".text_html", ".cell_output", "figure"].map((box) => table.closest(box));
    return boxes.some((box) => box && box.scrollWidth > box.clientWidth);
  })
  .map((table) => `${table.className} ${table.textContent.trim().slice(0, 60)}`)"""
# How far below the page's top its first picture begins.
PICTURE_TOP = "document.querySelector('figure.picture svg')?.getBoundingClientRect().top + scrollY"
# Fonts of the stylesheets that the page does not use: a window that has them from another page reports them, too.
SPARE_FONTS = """[...document.styleSheets].flatMap((sheet) => [...sheet.cssRules].map((rule) => [sheet, rule]))
  .filter(([, rule]) => rule instanceof CSSFontFaceRule)
  .filter(([, { style }]) => ![...document.fonts].some((font) => font.status === "loaded"
    && font.family === style.fontFamily && font.weight === style.fontWeight && font.style === style.fontStyle))
  .map(([sheet, { style }]) => new URL(style.getPropertyValue("src").match(/url\\("(.*?)"/)[1], sheet.href).href)"""
BROKEN_FONTS = "[...document.fonts].filter(font => font.status == 'error').map(font => font.family)"


@dataclass
class Visit:
    """Holds what a reader's browser met on one page."""

    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    weight: int = 0
    width: dict[int, int] = field(default_factory=dict)
    math: list[int] = field(default_factory=list)
    broken_fonts: list[str] = field(default_factory=list)
    unfocused: list[str] = field(default_factory=list)
    violations: dict[str, list[str]] = field(default_factory=dict)
    coloured: list[str] = field(default_factory=list)
    overlaps: list[str] = field(default_factory=list)
    unhinted: list[str] = field(default_factory=list)
    parted: list[str] = field(default_factory=list)
    wider_than_paper: list[str] = field(default_factory=list)
    cut_tables: list[str] = field(default_factory=list)
    picture_top: float | None = None


def at_once(**scripts: str) -> str:
    """Return a script that gives the results of others by their names, since to ask takes longer than most answers."""
    return f"({{ {', '.join(f'{name}: {script}' for name, script in scripts.items())} }})"


WHEN_LOADED = at_once(
    math=MATH,
    broken_fonts=BROKEN_FONTS,
    cut_tables=CUT_TABLES,
    picture_top=PICTURE_TOP,
    coloured=COLOURED,
    spare_fonts=SPARE_FONTS,
    copy=f"({COPY})()",
)
AT_A_WIDTH = at_once(
    width="document.documentElement.scrollWidth",
    overlaps=OVERLAPS,
    unhinted=UNHINTED,
    parted=PARTED,
    unfocused=UNFOCUSED,
)


class Reader:
    """Opens the pages of the site in one window, and copies of them in another, for which axe is compiled once.

    Kinds of text whose contrast is known are not looked at again, and files of other pages are not weighed again.
    """

    def __init__(self, browser: Browser, address: str) -> None:
        self.page, self._copy = (browser.new_page(viewport=SCREEN) for _ in range(2))
        self._copy.goto(f"{address}/404.html")
        self._address, self._seen = address, Visit()
        self._known: set[str] = set()
        self._weights: dict[str, int] = {}
        self._responses = note_responses(self.page)
        self.page.on("console", lambda message: message.type == "error" and self._seen.errors.append(message.text))
        self.page.on("pageerror", lambda error: self._seen.errors.append(str(error)))
        self.page.on("request", lambda request: self._seen.requests.append(request.url))

    def visit(self, name: str) -> Visit:
        """Look at a page in every way, and leave it as it was opened."""
        page, seen = self.page, Visit()
        self._seen = seen
        self._responses.clear()
        page.goto(f"{self._address}/{name}")
        page.evaluate("document.fonts.ready.then(() => {})")
        loaded = page.evaluate(WHEN_LOADED)
        spare_fonts, copy = loaded.pop("spare_fonts"), loaded.pop("copy")
        vars(seen).update(loaded)
        # Before anything has the focus, at which more may be loaded.
        seen.weight = weight([each for each in self._responses if each.url not in spare_fonts], self._weights)
        page.keyboard.press("Tab")  # from now on focus is shown as to those who use the keyboard
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": HEIGHT})
            found = page.evaluate(AT_A_WIDTH)
            seen.width[width] = found.pop("width")
            for what, where in found.items():
                getattr(seen, what).extend(where)
        seen.cut_tables += [
            table for table in page.evaluate(CUT_TABLES) if table.startswith("flopbook-table comparison")
        ]  # also on a phone
        page.set_viewport_size({"width": PAPER_WIDTH, "height": HEIGHT})
        page.emulate_media(media="print")
        seen.wider_than_paper = page.evaluate(WIDER_THAN_PAPER)
        page.emulate_media(media="screen")
        page.set_viewport_size(SCREEN)
        self._judge(copy, seen)
        return seen

    def _judge(self, copy: str, seen: Visit) -> None:
        """Look at the copy of the page in the dark, which changes nothing but colours, and ask axe about it."""
        self._copy.emulate_media(color_scheme="dark")
        self._copy.evaluate(SHOW, [self.page.url, copy])
        seen.coloured += self._copy.evaluate(COLOURED)
        dark = contrast_violations(self._copy, known=self._known)
        self._copy.emulate_media(color_scheme="light")
        seen.violations = {"dark": dark, "light": axe_violations(self._copy, known=self._known)}
