// Whatever scrolls can be reached with the keyboard.
(() => {
  const scrolling = "pre, .table-wrapper, .math-wrapper, .katex-display, .cell_output, .text_html, .figure, .put-in";
  const isLong = (box) => box.scrollHeight > box.clientHeight && getComputedStyle(box).overflowY === "auto";
  const update = () => {
    const boxes = [...document.querySelectorAll(scrolling)].filter((box) => box.checkVisibility());
    const scrolls = boxes.map((box) => box.scrollWidth > box.clientWidth || isLong(box)); // ask all before one changes
    boxes.forEach((box, at) => (scrolls[at] ? (box.tabIndex = 0) : box.removeAttribute("tabindex")));
  };
  addEventListener("load", update);
  addEventListener("resize", update);
  addEventListener("toggle", update, { capture: true }); // what a fold hid is laid out when it opens
})();

// The theme has two landmarks of one kind on a page, without names that tell them apart.
addEventListener("DOMContentLoaded", () => {
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "This page");
});

// The drawers of a narrow window open by keyboard too: the theme's labels, which work with a pointer alone, become buttons.
addEventListener("DOMContentLoaded", () => {
  const names = { __navigation: "All pages", __toc: "This page" };
  for (const label of document.querySelectorAll(".nav-overlay-icon, .toc-overlay-icon")) {
    const drawer = document.getElementById(label.htmlFor);
    const button = document.createElement("button");
    button.className = label.className;
    button.setAttribute("aria-label", names[label.htmlFor]);
    button.append(...label.childNodes);
    const tell = () => button.setAttribute("aria-expanded", drawer.checked);
    button.addEventListener("click", () => drawer.click());
    drawer.addEventListener("change", tell);
    tell();
    label.replaceWith(button);
  }
});

// A handout, at `?handout`, is the page without its solutions.
if (new URLSearchParams(location.search).has("handout")) document.documentElement.classList.add("handout");

// The Tab key goes past the buttons that copy a cell: there are dozens, and code can be selected.
addEventListener("load", () => {
  for (const button of document.querySelectorAll(".copybtn")) button.tabIndex = -1;
});
