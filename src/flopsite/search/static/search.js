// Finds places of the book as one types: on the page of search, and everywhere in a dialog that `/` opens.
(() => {
  const book = (globalThis.flopbook ??= {});
  const root = new URL(document.documentElement.dataset.content_root ?? ".", location.href);
  const MOST = 30; // results
  const AROUND = 80; // letters of an excerpt to each side of what was found
  const NAMES = { lecture: "lecture", lab: "lab", page: "page", record: "page", section: "section", box: "formula", picture: "picture", exercise: "exercise", term: "term", name: "API" };
  const WEIGHT = { lecture: 1.5, lab: 1.2, page: 1.1, record: 1, section: 1, box: 1.3, picture: 1.1, exercise: 0.9, term: 1.2, name: 0.4 };

  // Words in one spelling: no case, no accents, -ize for -ise, no plural.
  function words(text) {
    const plain = text.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
    const found = plain.match(/[\p{L}\p{N}]+/gu) ?? [];
    return found.map((word) => word.replace(/is(e|er|ed|es|ing|ation)(s?)$/, "iz$1$2").replace(/(?<=..[^s])s$/, ""));
  }

  // How well one word of the query is met by the words of a place: whole, or as a beginning.
  function met(sought, among, whole, beginning) {
    if (among.includes(sought)) return whole;
    return sought.length > 1 && among.some((word) => word.startsWith(sought)) ? beginning : 0;
  }

  const isIn = (few, many) => few.length > 0 && ` ${many.join(" ")} `.includes(` ${few.join(" ")} `);

  function score(place, query, sought) {
    const { title, keys, text } = place.read;
    let sum = 0;
    for (const word of sought) {
      const best = Math.max(met(word, title, 10, 6), met(word, keys, 9, 5));
      const here = best + met(word, text, 2, 1);
      if (!here) return 0;
      sum += here;
    }
    if (isIn(sought, title)) sum *= 1.5;
    if (place.read.phrases.some((phrase) => phrase.join(" ") === sought.join(" "))) sum *= 2;
    if (title.join(" ") === sought.join(" ")) sum *= 1.5;
    if (place.kind === "name" && /[A-Z_]/.test(query) && query.trim() === place.title) sum *= 10;
    return sum * WEIGHT[place.kind];
  }

  function find(query) {
    const { places, absent } = book.searchIndex;
    for (const place of places) {
      place.read ??= {
        title: words(place.title),
        keys: words(place.words ?? ""),
        phrases: (place.words ?? "").split(", ").map(words),
        text: words(place.text ?? ""),
      };
    }
    const sought = words(query);
    if (!sought.length) return { found: [], lacks: [] };
    const scored = places.map((place) => ({ place, score: score(place, query, sought) })).filter(({ score }) => score);
    return {
      found: scored.sort((one, other) => other.score - one.score).map(({ place }) => place),
      lacks: absent.filter((word) => isIn(words(word), sought)),
    };
  }

  function element(name, attributes, ...content) {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...content);
    return made;
  }

  // The text around the first word that was found, with the words that were.
  function excerpt(text, sought) {
    const isSought = (word) => words(word).some((one) => sought.some((other) => one.startsWith(other)));
    const parts = text.split(/(?<![\p{L}\p{N}])(?=[\p{L}\p{N}])|(?<=[\p{L}\p{N}])(?![\p{L}\p{N}])/u);
    const first = Math.max(0, parts.findIndex(isSought));
    const before = parts.slice(0, first).join("");
    const start = before.length <= AROUND ? 0 : first - parts.slice(0, first).reverse().findIndex((_, count) => parts.slice(first - count - 1, first).join("").length > AROUND);
    const shown = element("p", {}, start ? "… " : "");
    let length = 0;
    const isBlank = start > 0 && !/[\p{L}\p{N}]/u.test(parts[start]);
    for (const part of parts.slice(start + isBlank)) {
      if (length > 2 * AROUND) return shown.append(" …"), shown;
      shown.append(isSought(part) ? element("mark", {}, part) : part);
      length += part.length;
    }
    return shown;
  }

  function item(place, sought) {
    const link = element("a", { href: new URL(place.address, root).href }, place.title);
    const where = element("span", { className: "place" }, ` ${NAMES[place.kind]}${place.of ? ` in ${place.of}` : ""}`);
    return element("li", {}, link, where, excerpt(place.text ?? "", sought));
  }

  function say({ found, lacks }, query) {
    const lacked = lacks.map((word) => `“${word}” is not in this book yet.`).join(" ");
    if (!query.trim()) return "";
    if (!found.length) return lacked || `Nothing in this book has “${query.trim()}”.`;
    const all = found.length === 1 ? "1 place" : `${found.length} places`;
    const count = found.length > MOST ? `The best ${MOST} of ${all}:` : `${all}:`;
    return lacked ? `${lacked} What has these words: ${count}` : count;
  }

  let loading;
  function load() {
    loading ??= new Promise((resolve, reject) => {
      const source = new URL("search-index.js", root).href;
      document.head.append(element("script", { src: source, onload: resolve, onerror: reject }));
    });
    return loading;
  }

  // Shows results below a form, at each letter.
  function attach(form) {
    const input = form.elements.q;
    const status = element("p", { className: "search-status" });
    status.setAttribute("role", "status");
    const list = element("ol", { className: "found" });
    form.after(status, list);
    const show = async () => {
      await load();
      const query = input.value;
      const result = find(query);
      status.textContent = say(result, query);
      list.replaceChildren(...result.found.slice(0, MOST).map((place) => item(place, words(query))));
    };
    input.addEventListener("input", show);
    form.parentElement.addEventListener("keydown", (event) => {
      const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
      if (!step) return;
      const stops = [input, ...list.querySelectorAll("a")];
      stops[stops.indexOf(document.activeElement) + step]?.focus();
      event.preventDefault();
    });
    return show;
  }

  // On the page of search the address has the query.
  const page = document.querySelector("[role=main] .search-form");
  if (page) {
    page.elements.q.value = new URLSearchParams(location.search).get("q") ?? "";
    attach(page)();
  }

  function makeDialog() {
    const input = element("input", { type: "text", name: "q", autocomplete: "off", placeholder: "A word, a formula, a name" });
    input.setAttribute("aria-label", "Search");
    const form = element("form", { className: "search-form panel", action: new URL("search.html", root).href }, input);
    const box = element("dialog", { className: "search" }, form);
    box.setAttribute("aria-label", "Search");
    box.addEventListener("click", ({ target }) => target === box && box.close());
    document.body.append(box);
    return { box, input, show: attach(form) };
  }

  let dialog;
  function open(query) {
    if (page) return page.elements.q.focus();
    dialog ??= makeDialog();
    dialog.box.showModal();
    if (query) dialog.input.value = query;
    dialog.input.focus();
    if (!query) dialog.input.select();
    dialog.show();
  }

  document.querySelector(".sidebar-search")?.addEventListener("input", ({ target }) => {
    open(target.value);
    target.value = "";
  });
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    open();
  });
})();
