// Makes a cell's outputs, in the markup of the page.
(() => {
  const live = ((globalThis.flopbook ??= {}).live ??= {});

  const element = (live.element = (tag, className, ...content) => {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...content);
    return made;
  });

  live.text = (kind, content) => {
    const pre = element("pre", "", content);
    return element("div", `output ${kind} highlight-myst-ansi notranslate`, element("div", "highlight", pre));
  };

  // An error: in words, and then where it arose.
  live.error = ({ words, traceback }) => {
    const box = live.text("traceback", traceback);
    box.prepend(element("p", "", words));
    return box;
  };

  // A value, by the richest of its representations, as in Jupyter.
  live.value = (bundle) => {
    const drawn = bundle["text/html"] ?? bundle["image/svg+xml"];
    if (drawn) {
      const box = element("div", "output text_html");
      box.innerHTML = drawn;
      flopbook.mountPictures?.(box);
      return box;
    }
    if (!bundle["text/latex"]) return live.text("text_plain", bundle["text/plain"]);
    const math = element("div", "math");
    katex.render(bundle["text/latex"].replace(/^\$+|\$+$/g, ""), math, { displayMode: true, throwOnError: false });
    return element("div", "math-wrapper output text_latex", math);
  };
})();
