// Keeps the reader's right answers in this browser: {version, pages: {page: {total, done: {id: answer}}}}.
(() => {
  const book = (globalThis.flopbook ??= {});
  const KEY = "flopbook";
  const VERSION = 1;
  const root = new URL(document.documentElement.dataset.content_root ?? ".", location.href);
  const nameOf = (address) => address.pathname.slice(root.pathname.length).replace(/\.html$/, "");
  const here = nameOf(location);

  function load() {
    try {
      const kept = JSON.parse(localStorage.getItem(KEY));
      if (kept?.version === VERSION) return kept.pages ?? {};
    } catch {
      // The browser keeps nothing: the progress lasts until the page is left.
    }
    return {};
  }

  let pages = load();

  function store() {
    try {
      localStorage.setItem(KEY, JSON.stringify({ version: VERSION, pages }));
    } catch {
      // As above.
    }
  }

  const kept = (id) => pages[here]?.done?.[id];

  function keep(id, answer) {
    const ids = idsIn();
    const done = Object.fromEntries(ids.filter((one) => kept(one) !== undefined).map((one) => [one, kept(one)]));
    pages[here] = { total: ids.length, done: { ...done, [id]: answer } };
    store();
    show();
  }

  const idsIn = (within = document) => [...within.querySelectorAll(".exercise, .question")].map((place) => place.id);
  const doneOf = (ids) => ids.filter((id) => kept(id) !== undefined).length;

  function element(name, attributes, ...content) {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...content);
    return made;
  }

  // "2 of 4 done" below the heading of each section with several exercises or questions; a check alone needs no count.
  function showOnSections() {
    const places = [...document.querySelectorAll(".exercise, .question")];
    for (const section of new Set(places.map((place) => place.closest("section")))) {
      const ids = idsIn(section);
      if (ids.length < 2) continue;
      const line = section.querySelector(".progress") ?? element("p", { className: "progress" });
      line.textContent = `${doneOf(ids)} of ${ids.length} done`;
      section.querySelector("h2")?.after(line);
    }
  }

  // "3/7" after each link to a page in a table of contents.
  function showOnLinks() {
    document.querySelectorAll(".progress-mark").forEach((mark) => mark.remove());
    for (const link of document.querySelectorAll(".sidebar-tree a, .map-pages a")) {
      const page = pages[nameOf(new URL(link.href))];
      if (!page || link.hash) continue;
      const done = Object.keys(page.done ?? {}).length;
      link.append(
        element(
          "span",
          { className: "progress-mark" },
          element("span", { ariaHidden: "true" }, ` ${done}/${page.total}`),
          element("span", { className: "visually-hidden" }, `, ${done} of ${page.total} done`),
        ),
      );
    }
  }

  // A mark before each lecture that the page needs: done, or not yet.
  function showOnNeeds() {
    for (const need of document.querySelectorAll(".needs summary")) {
      const page = pages[nameOf(new URL(need.parentElement.querySelector("a").href))];
      const isDone = page && Object.keys(page.done ?? {}).length >= page.total;
      need.querySelector(".need-mark")?.remove();
      need.prepend(
        element(
          "span",
          { className: "need-mark" },
          element("span", { ariaHidden: "true" }, isDone ? "✓ " : "○ "),
          element("span", { className: "visually-hidden" }, isDone ? "done: " : "not yet: "),
        ),
      );
    }
  }

  function showEraser() {
    document.querySelector(".progress-eraser")?.remove();
    if (!Object.keys(pages).length) return;
    const button = element("button", { className: "button", type: "button", onclick: erase }, "Erase my progress");
    const place = element("p", { className: "progress-eraser" }, "Progress is kept in this browser only. ", button);
    document.querySelector(".sidebar-tree")?.after(place);
  }

  function erase() {
    if (!confirm("Erase your right answers on all pages of this book?")) return;
    try {
      localStorage.removeItem(KEY);
    } catch {
      // Nothing was kept.
    }
    location.reload();
  }

  function show() {
    showOnSections();
    showOnLinks();
    showOnNeeds();
    showEraser();
  }

  addEventListener("storage", (event) => {
    if (event.key !== KEY && event.key !== null) return;
    pages = load();
    show();
  });
  show();
  const isHandout = new URLSearchParams(location.search).has("handout"); // which shows nobody's answers
  Object.assign(book, { kept: isHandout ? () => undefined : kept, keep });
})();
