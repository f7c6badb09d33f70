// Runs Python apart from the page, so that the page stays quick, and an endless cell ends with its worker.
const engine = new URL("engine/", import.meta.url);

// Pyodide fetches files: count the bytes that arrive, and let the browser's cache give no file of an older edition.
const plainFetch = fetch;
self.fetch = async (address, options) => {
  const response = await plainFetch(address, { ...options, cache: "no-cache" });
  if (!response.ok) throw new Error(`${new URL(address, engine).pathname}: ${response.status} ${response.statusText}`);
  const counting = new TransformStream({
    transform(chunk, out) {
      postMessage({ kind: "received", content: chunk.byteLength });
      out.enqueue(chunk);
    },
  });
  return new Response(response.body.pipeThrough(counting), response);
};

const archive = async (name) => new Uint8Array(await (await fetch(new URL(name, engine))).arrayBuffer());

async function start() {
  const archives = ["sympy.zip", "flopbook.zip"];
  const { loadPyodide } = await import(new URL("pyodide.mjs", engine));
  const [python, ...contents] = await Promise.all([loadPyodide({ indexURL: engine.href }), ...archives.map(archive)]);
  archives.forEach((name, index) => python.FS.writeFile(`/lib/${name}`, contents[index]));
  postMessage({ kind: "loaded" });
  // Messages of Python travel as JSON, so that no object exists on both sides.
  self.tell = (message) => postMessage(JSON.parse(message));
  return python.runPython(`
    import json, sys
    from js import tell

    sys.path[:0] = [${archives.map((name) => `"/lib/${name}"`)}]
    import sympy
    from flopsite.live.session import Session

    session = Session(lambda kind, content: tell(json.dumps({"kind": kind, "content": content})))
    lambda message: session.take(json.loads(message))
  `);
}

const started = start();
started.then(() => postMessage({ kind: "ready" }), () => {}); // the first job reports the error
addEventListener("message", async ({ data }) => {
  try {
    (await started)(JSON.stringify(data));
    postMessage({ kind: "done" });
  } catch (error) {
    postMessage({ kind: "failed", content: error.message });
  }
});
