// Live cells: the reader changes a cell's code and runs it, in a worker that starts with the first run.
(() => {
  const script = document.currentScript;
  const file = (name) => new URL(name, script.src);
  const megabytes = (bytes) => (bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0);

  // Python's tokens, by the names that Pygments gives their colours.
  const words = (text) => `\\b(?:${text.replaceAll(" ", "|")})\\b`;
  const TOKENS = new RegExp(
    [
      String.raw`(?<c1>#.*)`,
      String.raw`(?<s2>(?:\b[rbfuRBFU]{1,2})?(?:"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
      String.raw`(?<mi>\b\d[\w.]*)`,
      `(?<kc>${words("True False None")})`,
      `(?<ow>${words("and in is not or")})`,
      `(?<kn>${words("from import")})`,
      `(?<k>${words("as assert break class continue def del elif else except finally for global if lambda pass raise return try while with yield")})`,
      String.raw`(?<o>[-+*/%=<>!&|^~@]+)`,
    ].join("|"),
    "g",
  );

  function element(tag, className, ...content) {
    const made = document.createElement(tag);
    made.className = className;
    made.append(...content);
    return made;
  }

  function coloured(code) {
    const parts = [];
    let end = 0;
    for (const match of code.matchAll(TOKENS)) {
      const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
      parts.push(code.slice(end, match.index), element("span", kind, match[0]));
      end = match.index + match[0].length;
    }
    return [...parts, code.slice(end), "\n"];
  }

  // What a cell shows, in the page's own markup.
  const text = (kind, content) =>
    element("div", `output ${kind} highlight-myst-ansi notranslate`, element("div", "highlight", element("pre", "", content)));

  function shown(bundle) {
    if (bundle["text/html"] || bundle["image/svg+xml"]) {
      const box = element("div", "output text_html");
      box.innerHTML = bundle["text/html"] ?? bundle["image/svg+xml"];
      return box;
    }
    if (!bundle["text/latex"]) return text("text_plain", bundle["text/plain"]);
    const math = element("div", "math");
    katex.render(bundle["text/latex"].replace(/^\$+|\$+$/g, ""), math, { displayMode: true, throwOnError: false });
    return element("div", "math-wrapper output text_latex", math);
  }

  class Cell {
    constructor(id, number) {
      this.id = id;
      this.box = document.getElementById(id);
      this.input = this.box.querySelector(".cell_input");
      this.pre = this.input.querySelector("pre");
      this.built = { code: [...this.pre.childNodes], output: this.box.querySelector(".cell_output") };
      this.source = this.original = this.pre.textContent.trimEnd();
      this.output = this.built.output;
      this.addTools(number);
      this.pre.addEventListener("click", () => {
        if (getSelection().isCollapsed) this.edit(this.clicked());
      });
    }

    addTools(number) {
      const button = (label, act) => {
        const made = element("button", "", label);
        made.type = "button";
        made.addEventListener("click", act);
        return made;
      };
      this.runButton = button("Run", () => (queue.includes(this) ? stop() : run(this)));
      this.editButton = button("Edit", () => this.edit(this.source.length));
      this.resetButton = button("Reset", () => this.reset());
      this.resetButton.hidden = true;
      this.status = element("span", "");
      this.status.setAttribute("role", "status");
      this.progress = element("span", "");
      const tools = element("div", "cell-tools", this.runButton, this.editButton, this.resetButton, this.status, this.progress);
      tools.setAttribute("role", "group");
      tools.setAttribute("aria-label", `Live cell ${number}`);
      this.input.append(tools);
    }

    // Where in the code the reader has clicked.
    clicked() {
      const { focusNode, focusOffset } = getSelection();
      const before = new Range();
      before.selectNodeContents(this.pre);
      before.setEnd(focusNode, focusOffset);
      return before.toString().length;
    }

    // A text field without a colour of its own lies over the code, which takes on what is typed.
    edit(place) {
      if (!this.field) {
        this.field = element("textarea", "");
        this.field.value = this.source;
        Object.assign(this.field, { spellcheck: false, autocapitalize: "off", autocomplete: "off" });
        this.field.setAttribute("aria-label", "Code of this cell; Control Enter runs it, Escape leaves");
        this.field.addEventListener("input", () => this.typed());
        this.field.addEventListener("keydown", (event) => this.pressed(event));
        this.pre.after(this.field);
        this.pre.parentNode.classList.add("edited");
      }
      this.field.focus();
      this.field.setSelectionRange(place, place);
    }

    typed() {
      this.source = this.field.value;
      this.pre.replaceChildren(...coloured(this.source));
      this.resetButton.hidden = false;
    }

    pressed(event) {
      if (event.key === "Escape") {
        this.leave();
        this.editButton.focus();
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (event.ctrlKey || event.metaKey || event.shiftKey) return queue.includes(this) || run(this);
        const line = this.source.slice(0, this.field.selectionStart).split("\n").at(-1);
        const deeper = line.trimEnd().endsWith(":") ? "    " : "";
        document.execCommand("insertText", false, `\n${line.match(/^ */)[0]}${deeper}`); // can be undone
      }
    }

    leave() {
      this.field?.remove();
      this.field = null;
      this.pre.parentNode.classList.remove("edited");
    }

    reset() {
      if (queue.includes(this)) stop();
      this.leave();
      this.source = this.original;
      this.pre.replaceChildren(...this.built.code);
      this.replaceOutput(this.built.output);
      this.say("");
      this.runButton.focus();
      this.resetButton.hidden = true;
    }

    say(words, progress = "") {
      this.status.textContent = words;
      this.progress.textContent = progress;
      this.runButton.textContent = queue.includes(this) ? "Stop" : "Run";
    }

    begin() {
      this.fresh = element("div", "cell_output docutils container");
    }

    // The old output stays until there is a new one.
    put(output) {
      this.resetButton.hidden = false;
      this.fresh.append(output);
      if (this.output !== this.fresh) this.replaceOutput(this.fresh);
      dispatchEvent(new Event("resize")); // what is now too wide is made to scroll with the keyboard
    }

    print(content) {
      const last = this.fresh.lastElementChild;
      if (last?.classList.contains("stream")) last.querySelector("pre").append(content);
      else this.put(text("stream", content));
    }

    replaceOutput(output) {
      if (this.output && output) this.output.replaceWith(output);
      else if (output) this.input.after(output);
      else this.output?.remove();
      this.output = output;
    }

    end(words) {
      this.resetButton.hidden = false;
      if (this.output !== this.fresh) this.replaceOutput(null);
      this.say(words);
    }
  }

  let worker = null;
  let received = 0; // bytes
  let queue = []; // cells that were asked to run; the first one is running
  let current = null; // the cell whose outputs arrive: the first one, or one it builds on
  let began = 0;
  let outcome = "";

  function run(cell) {
    if (location.protocol === "file:") {
      cell.say("Browsers run Python only on pages that are served: type `make serve` in the book's folder.");
      return;
    }
    queue.push(cell);
    cell.say(worker ? "Waiting" : "Loading Python, once for this page");
    worker ??= startWorker();
    const [target, page] = [worker, Object.fromEntries([...cells.values()].map(({ id, source }) => [id, source]))];
    loadKatex().then(() => target.postMessage({ page, wanted: cell.id }), (error) => end(error.message));
  }

  function startWorker() {
    received = 0;
    const started = new Worker(file("live-worker.js"), { type: "module" });
    started.addEventListener("message", ({ data }) => hear[data.kind](data.content, queue[0]));
    started.addEventListener("error", (event) => {
      event.preventDefault();
      end(`Python could not be loaded. ${event.message ?? "A file of the site is missing."}`);
    });
    return started;
  }

  function end(words) {
    worker?.terminate();
    worker = null;
    const stopped = queue;
    queue = [];
    for (const cell of stopped) cell.say(words);
  }

  const stop = () => end("Stopped. All names are gone; the next run makes those it needs anew.");

  let katexLoaded = null;
  const loadKatex = () =>
    (katexLoaded ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = file("live/katex.min.js");
      tag.onload = resolve;
      tag.onerror = () => {
        katexLoaded = null;
        reject(new Error("KaTeX, which sets the formulas, could not be loaded."));
      };
      document.head.append(tag);
    }));

  // What a cell above says is known, unless the reader has changed it.
  const speaks = (wanted) => current === wanted || (current instanceof Cell && current.source !== current.original);

  const hear = {
    received(bytes, wanted) {
      received += bytes;
      wanted.progress.textContent = `${megabytes(received)} of ${megabytes(Number(script.dataset.bytes))} MB`;
    },
    loaded: (_, wanted) => wanted.say("Importing SymPy"),
    running(id, wanted) {
      current = cells.get(id);
      if (speaks(wanted)) current.begin();
      if (current === wanted) began = performance.now();
      outcome = "";
      wanted.say(current === wanted ? "Running" : "Running the cells above");
    },
    stream: (content, wanted) => speaks(wanted) && current.print(content),
    show: (bundle, wanted) => speaks(wanted) && current.put(shown(bundle)),
    error(content, wanted) {
      if (current !== wanted) wanted.begin();
      wanted.put(text("traceback", content));
      outcome = current === wanted ? "Stopped by an error" : "Stopped by an error in a cell above";
    },
    done(_, wanted) {
      queue.shift();
      wanted.end(outcome || `Done in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    },
    failed: (message) => end(`Python has stopped. ${message}`),
  };

  const data = JSON.parse(document.getElementById("live-cells").textContent);
  let number = 0;
  const cells = new Map(
    Object.entries(data).map(([id, source]) => [id, source === null ? new Cell(id, ++number) : { id, source }]),
  );
})();
