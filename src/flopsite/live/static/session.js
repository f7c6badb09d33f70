// The session of a page: a worker that starts when a run is near, and the cells that are run in it.
(() => {
  const { live } = globalThis.flopbook;
  const script = document.currentScript;
  const file = (name) => new URL(name, script.src);
  const LOADING = "Loading Python, once for this page";
  const REST = 300; // milliseconds
  const isServed = location.protocol !== "file:";
  const total = Number(script.dataset.bytes);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

  let worker = null;
  let received = 0; // bytes
  let stage = ""; // what the worker does before it can run cells
  let queue = []; // cells that are to run; the first one is running
  let current = null; // the cell whose outputs arrive: the first of the queue, or a cell it builds on
  let began = 0;
  let outcome = "";
  let depends = {}; // for each cell the cells that it builds on, and itself

  // A pointer or the keyboard that rests on Run asks for Python; one that passes does not.
  let resting;
  const foresee = () => (resting = setTimeout(() => isServed && (worker ??= startWorker()), REST));
  const forget = () => clearTimeout(resting);

  function run(cell) {
    if (!isServed) {
      cell.say("Browsers run Python only on pages that are served: type `make serve` in the book's folder.");
      return;
    }
    queue.push(cell);
    worker ??= startWorker();
    cell.say("Waiting");
    tellStage();
    const [target, page] = [worker, sources()];
    loadKatex().then(() => target.postMessage({ page, wanted: cell.id }), (error) => end(error.message));
  }

  const sources = () => Object.fromEntries([...cells.values()].map(({ id, source }) => [id, source]));

  // Tell the cell that waits for the worker how far it is.
  function tellStage() {
    if (!stage || !queue.length) return;
    const isLoading = stage === LOADING && received < total;
    const words = stage === LOADING && !isLoading ? "Starting Python…" : stage;
    if (queue[0].status.textContent !== words) queue[0].say(words);
    if (isLoading) queue[0].sayProgress(`${megabytes(received)} of ${megabytes(total)} MB`, received / total);
    else queue[0].sayProgress("");
  }

  function startWorker() {
    received = 0;
    stage = LOADING;
    const started = new Worker(file("worker.js"), { type: "module" });
    started.addEventListener("message", ({ data }) => {
      if (started === worker) hear[data.kind](data.content, queue[0]); // messages of a stopped worker come too late
    });
    started.addEventListener("error", (event) => {
      event.preventDefault();
      end(`Python could not be loaded. ${event.message ?? "A file of the site is missing."}`);
    });
    return started;
  }

  function end(words) {
    worker?.terminate();
    worker = current = null;
    const stopped = queue;
    queue = [];
    for (const cell of stopped) cell.say(words);
  }

  function stop() {
    const [running, ...waiting] = queue;
    const words = "Stopped. All names are gone; the next run makes again those that it needs.";
    end(words);
    worker = startWorker(); // so that the next run need not wait for it
    if (!waiting.length) return;
    running.say(`${words} Cancelled before they ran: `, ...waiting.flatMap((cell, i) => [i ? ", " : "", cell.link()]), ".");
    for (const cell of waiting) cell.say("Cancelled before it ran, when ", running.link(), " was stopped.");
  }

  let katexLoaded = null;
  const loadKatex = () =>
    (katexLoaded ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = file("engine/katex.min.js");
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
    received(bytes) {
      received += bytes;
      tellStage();
    },
    loaded() {
      stage = "Importing SymPy";
      tellStage();
    },
    ready: () => (stage = ""),
    depends: (closures) => (depends = closures),
    running(id, wanted) {
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
    stream: (content, wanted) => isShown(wanted) && current.print(content),
    more: (lines, wanted) => isShown(wanted) && current.more(lines),
    show: (bundle, wanted) => isShown(wanted) && current.put(live.value(bundle)),
    error(content, wanted) {
      if (current !== wanted) wanted.begin();
      wanted.put(live.error(content));
      outcome = current === wanted ? "Stopped by an error" : "Stopped by an error in a cell above";
    },
    done(_, wanted) {
      if (isShown(wanted)) current.end();
      current = null;
      queue.shift();
      wanted.say(outcome || `Done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
      compare();
    },
    failed: (message) => end(`Python has stopped. ${message}`),
  };

  const runner = { run, stop, foresee, forget, compare, has: (cell) => queue.includes(cell) };
  const data = JSON.parse(document.getElementById("live-cells").textContent);
  let number = 0;
  const cells = new Map(
    Object.entries(data).map(([id, source]) => [
      id,
      source === null ? new live.Cell(id, ++number, runner) : { id, source }, // a hidden cell has its source here
    ]),
  );
})();
