// Lets what comes next follow the path that the reader chose, lights needs on the map, and marks the section in view.
(() => {
  const KEY = "flopbook-path";

  // The path of the address, which is kept, or else the one kept before; "" for none.
  function chosenPath() {
    const stated = new URLSearchParams(location.search).get("path");
    try {
      if (stated !== null) localStorage.setItem(KEY, stated);
      return localStorage.getItem(KEY) ?? "";
    } catch {
      return stated ?? ""; // The browser keeps nothing: the path lasts until the page is left.
    }
  }

  function leave() {
    const address = new URL(location);
    address.searchParams.set("path", "");
    location.replace(address);
  }

  function follow(path) {
    for (const choice of document.querySelectorAll(".paths > [data-path]")) {
      if (choice.dataset.path === path) choice.querySelector("a").setAttribute("aria-current", "true");
    }
    for (const page of document.querySelectorAll(".map-pages > li")) {
      page.classList.toggle("on-path", page.dataset.paths.split(" ").includes(path || "none"));
    }
    const step = [...document.querySelectorAll(".step")].find(({ dataset }) => dataset.path === path);
    if (!step) return;
    step.hidden = false;
    step.querySelector("button").addEventListener("click", leave);
    const next = document.querySelector(".next-page");
    if (!next || !step.dataset.next) return;
    next.href = step.dataset.next;
    next.querySelector(".title").innerHTML = step.dataset.title;
  }

  function lightNeeds(map) {
    const pages = [...map.querySelectorAll("[data-page]")];
    const show = (shown) => {
      const needed = new Set(shown?.dataset.needs.split(" ").filter(Boolean));
      for (const page of pages) page.classList.toggle("needed", needed.has(page.dataset.page));
      if (shown) needed.add(shown.dataset.page);
      for (const edge of map.querySelectorAll("[data-ends]")) {
        edge.classList.toggle("needed", edge.dataset.ends.split(" ").every((end) => needed.has(end)));
      }
    };
    for (const event of ["pointerover", "focusin"]) {
      map.addEventListener(event, ({ target }) => show(target.closest("[data-page]")));
    }
    for (const event of ["pointerleave", "focusout"]) map.addEventListener(event, () => show(null));
  }

  function markSectionInView() {
    const links = new Map();
    for (const link of document.querySelectorAll(".sidebar-tree .current-page > ul a")) {
      const section = document.getElementById(decodeURIComponent(link.hash.slice(1)));
      if (section) links.set(section, link);
    }
    const inView = new Set();
    const mark = (changes) => {
      for (const { target, isIntersecting } of changes) inView[isIntersecting ? "add" : "delete"](target);
      const last = [...links.keys()].findLast((section) => inView.has(section));
      for (const [section, link] of links) {
        if (section === last) link.setAttribute("aria-current", "location");
        else link.removeAttribute("aria-current");
      }
    };
    const observer = new IntersectionObserver(mark, { rootMargin: "0px 0px -70% 0px" }); // where one begins to read
    for (const section of links.keys()) observer.observe(section);
  }

  follow(chosenPath());
  document.querySelectorAll(".map").forEach(lightNeeds);
  markSectionInView();
})();
