// Sphinx's scores, weighed by the page: a title with the word that was sought, then lectures, which explain, in the order of
// the course; then labs and references; the names of functions last.
var Scorer = {
  score: ([docname, title, , , score, , kind]) => {
    const sought = new URLSearchParams(location.search).get("q").toLowerCase();
    const [folder, page] = docname.split("/");
    if (kind === "object") return score / 2;
    const weight = { lectures: 2 - parseInt(page) / 100, notebooks: 1.5, reference: 1.25 }[folder] ?? 1;
    return score * weight * (title.toLowerCase().includes(sought) ? 1.5 : 1);
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
