// The page's Python: a worker that starts when a run is near, and the jobs that wait for it, one after the other.
// A job says how far it is (say, showProgress, status), hears what Python tells of it (hear), and has a link to itself.
(() => {
  const live = ((globalThis.flopbook ??= {}).live ??= {});
  const script = document.currentScript;
  const LOADING = "Loading Python, once for this page";
  const REST = 300; // milliseconds
  const isServed = location.protocol !== "file:";
  const total = Number(script.dataset.bytes);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

  let worker = null;
  let received = 0; // bytes
  let stage = ""; // what the worker does before it can run a job
  let jobs = []; // the first one is running
  let posting = Promise.resolve(); // messages leave in the order of their jobs

  const file = (name) => new URL(name, script.src);

  // A pointer or the keyboard that rests on a button asks for Python; one that passes does not.
  let resting;
  const foresee = () => (resting = setTimeout(() => isServed && (worker ??= start()), REST));
  const forget = () => clearTimeout(resting);
  function foreseeOn(button) {
    for (const event of ["pointerenter", "focus"]) button.addEventListener(event, foresee);
    for (const event of ["pointerleave", "blur"]) button.addEventListener(event, forget);
  }

  // Put a job to the worker; `message` returns what the worker takes, or the promise of it.
  function run(job, message) {
    if (!isServed) {
      job.say("Browsers run Python only on pages that are served: type `make serve` in the book's folder.");
      return;
    }
    jobs.push(job);
    worker ??= start();
    job.say("Waiting");
    tellStage();
    const target = worker;
    posting = posting.then(message).then((content) => target.postMessage(content)).catch((error) => end(error.message));
  }

  // Tell the job that waits for the worker how far it is.
  function tellStage() {
    if (!stage || !jobs.length) return;
    const [job] = jobs;
    const isLoading = stage === LOADING && received < total;
    const words = stage === LOADING && !isLoading ? "Starting Python…" : stage;
    if (job.status.textContent !== words) job.say(words);
    if (isLoading) job.showProgress(`${megabytes(received)} of ${megabytes(total)} MB`, bar(received / total));
    else job.showProgress(bar());
  }

  // A bar that moves until the share is known; the words beside it change often, so they are not read aloud.
  function bar(share) {
    const made = document.createElement("progress");
    made.setAttribute("aria-label", "Loading");
    if (share !== undefined) made.value = share;
    return made;
  }

  function start() {
    received = 0;
    stage = LOADING;
    const started = new Worker(file("worker.js"), { type: "module" });
    started.addEventListener("message", ({ data: { kind, content } }) => {
      if (started !== worker) return; // messages of a stopped worker come too late
      if (hear[kind]) hear[kind](content);
      else jobs[0].hear(kind, content);
    });
    started.addEventListener("error", (event) => {
      event.preventDefault();
      end(`Python could not be loaded. ${event.message ?? "A file of the site is missing."}`);
    });
    return started;
  }

  function end(words) {
    worker?.terminate();
    worker = null;
    const stopped = jobs;
    jobs = [];
    for (const job of stopped) {
      job.hear("ended");
      job.say(words);
    }
  }

  function stop() {
    const [running, ...waiting] = jobs;
    const words = "Stopped. All names are gone; the next run makes again those that it needs.";
    end(words);
    worker = start(); // so that the next run need not wait for it
    if (!waiting.length) return;
    running.say(`${words} Cancelled before they ran: `, ...waiting.flatMap((job, i) => [i ? ", " : "", job.link()]), ".");
    for (const job of waiting) job.say("Cancelled before it ran, when ", running.link(), " was stopped.");
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
    done: () => jobs.shift().hear("done"),
    failed: (message) => end(`Python has stopped. ${message}`),
  };

  live.engine = { file, foreseeOn, run, stop, has: (job) => jobs.includes(job) };
})();
