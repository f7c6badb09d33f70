// The session of a page: which cells it has, what they build on, and where the outputs of a run go.
(() => {
  const { live } = globalThis.flopbook;
  const { engine } = live;

  let current = null; // the cell whose outputs arrive: the one that was wanted, or a cell it builds on
  let began = 0;
  let outcome = "";
  let depends = {}; // for each cell the cells that it builds on, and itself

  function run(cell) {
    const message = { page: sources(), wanted: cell.id };
    engine.run(cell, () => loadKatex().then(() => message));
  }

  const sources = () => Object.fromEntries([...cells.values()].map(({ id, source }) => [id, source]));

  let katexLoaded = null;
  const loadKatex = () =>
    (katexLoaded ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = engine.file("engine/katex.min.js");
      tag.onload = resolve;
      tag.onerror = () => {
        katexLoaded = null;
        reject(new Error("KaTeX, which sets the formulas, could not be loaded."));
      };
      document.head.append(tag);
    }));

  // The output of a cell above is on the page already, unless the reader has changed the cell.
  const isChanged = (cell) => cell instanceof live.Cell && cell.source !== cell.original;
  const isShown = (wanted) => current && (current === wanted || isChanged(current));

  // An output is stale where the code of a cell that it builds on is another than the output was made with.
  function compare() {
    const built = Object.fromEntries([...cells.values()].map(({ id, original, source }) => [id, original ?? source]));
    for (const cell of cells.values()) {
      if (!(cell instanceof live.Cell)) continue;
      const made = cell.made ?? built;
      cell.markStale((depends[cell.id] ?? []).some((id) => id !== cell.id && cells.get(id).source !== made[id]));
    }
  }

  const hear = {
    depends: (_, closures) => (depends = closures),
    running(wanted, id) {
      if (isShown(wanted)) current.end();
      current = cells.get(id);
      if (isShown(wanted)) {
        current.begin();
        current.made = sources();
      }
      if (current === wanted) began = performance.now();
      outcome = "";
      wanted.say(current === wanted ? "Running" : "Running the cells above");
    },
    stream: (wanted, content) => isShown(wanted) && current.print(content),
    more: (wanted, lines) => isShown(wanted) && current.more(lines),
    show: (wanted, bundle) => isShown(wanted) && current.put(live.value(bundle)),
    error(wanted, content) {
      if (current !== wanted) wanted.begin();
      wanted.put(live.error(content));
      outcome = current === wanted ? "Stopped by an error" : "Stopped by an error in a cell above";
    },
    done(wanted) {
      if (isShown(wanted)) current.end();
      current = null;
      wanted.say(outcome || `Done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
      compare();
    },
    ended: () => (current = null),
  };

  const runner = { ...engine, run, compare, hear: (kind, wanted, content) => hear[kind](wanted, content) };
  const data = JSON.parse(document.getElementById("live-cells").textContent);
  let number = 0;
  const cells = new Map(
    Object.entries(data).map(([id, source]) => [
      id,
      source === null ? new live.Cell(id, ++number, runner) : { id, source }, // a hidden cell has its source here
    ]),
  );
})();
