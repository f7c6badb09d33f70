// Sphinx's scores, weighted by the page: titles with the word first, then lectures in the order of the course, then labs
// and reference; names of functions last, unless the name was typed exactly.
var Scorer = {
  score: ([docname, title, , , score, , kind]) => {
    const sought = new URLSearchParams(location.search).get("q").trim();
    const isName = /[A-Z_]/.test(sought) && title.split(".").pop() === sought;
    if (kind === "object") return isName ? 2 * score : score / 2;
    const order = [...document.querySelectorAll(".sidebar-tree a")].map((link) => link.getAttribute("href"));
    const place = order.indexOf(`${docname}.html`);
    const weight = { lectures: 2 - place / 100, notebooks: 1.5, reference: 1.25 }[docname.split("/")[0]] ?? 1;
    return score * weight * (title.toLowerCase().includes(sought.toLowerCase()) ? 1.5 : 1);
  },
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
};
