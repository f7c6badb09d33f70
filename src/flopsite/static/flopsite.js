// Whatever scrolls sideways can be reached with the keyboard.
(() => {
  const scrolling = "pre, .table-wrapper, .math-wrapper, .katex-display, .cell_output, .text_html, .figure, .put-in";
  const update = () => {
    for (const box of document.querySelectorAll(scrolling)) {
      if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
      else box.removeAttribute("tabindex");
    }
  };
  addEventListener("load", update);
  addEventListener("resize", update);
})();

// The theme has two landmarks of one kind on a page and tells neither apart.
addEventListener("DOMContentLoaded", () => {
  document.querySelector(".sidebar-drawer")?.setAttribute("aria-label", "All pages");
  document.querySelector(".toc-drawer")?.setAttribute("aria-label", "This page");
});
