// A live cell: its code, which the reader can change, its tools and its outputs.
(() => {
  const live = ((globalThis.flopbook ??= {}).live ??= {});
  const { element } = live;

  live.Cell = class {
    // The runner runs cells, stops them, and knows which are running or wait.
    constructor(id, number, runner) {
      this.id = id;
      this.number = number;
      this.runner = runner;
      this.box = document.getElementById(id);
      this.input = this.box.querySelector(".cell_input");
      this.pre = this.input.querySelector("pre");
      this.built = { code: [...this.pre.childNodes], output: this.box.querySelector(".cell_output") };
      this.source = this.original = this.pre.textContent.trimEnd();
      this.output = this.built.output;
      this.made = null; // the sources by cell that the output was made with; null: those of the build
      this.addTools();
      this.pre.addEventListener("click", () => {
        if (getSelection().isCollapsed) this.edit(this.clicked());
      });
    }

    addTools() {
      const button = (label, act) => {
        const made = element("button", "", label);
        made.type = "button";
        made.addEventListener("click", act);
        return made;
      };
      this.runButton = button("Run", () => (this.runner.has(this) ? this.runner.stop() : this.runner.run(this)));
      this.editButton = button("Edit", () => this.edit(this.source.length));
      this.resetButton = button("Reset", () => this.reset());
      this.resetButton.hidden = true;
      this.runner.foreseeOn(this.runButton);
      this.status = element("span", "");
      this.status.setAttribute("role", "status");
      this.progress = element("span", "");
      this.stale = element("span", "");
      const buttons = [this.runButton, this.editButton, this.resetButton];
      const tools = element("div", "cell-tools", ...buttons, this.status, this.progress, this.stale);
      tools.setAttribute("role", "group");
      tools.setAttribute("aria-label", `Live cell ${this.number}`);
      this.input.append(tools);
    }

    // The place in the code that the reader has clicked.
    clicked() {
      const { focusNode, focusOffset } = getSelection();
      const before = new Range();
      before.selectNodeContents(this.pre);
      before.setEnd(focusNode, focusOffset);
      return before.toString().length;
    }

    // A transparent text field covers the code, and the code shows what is typed.
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
      this.pre.replaceChildren(...live.coloured(this.source));
      this.resetButton.hidden = false;
    }

    pressed(event) {
      if (event.key === "Escape") {
        this.leave();
        this.editButton.focus();
      } else if (event.key === "Enter") {
        event.preventDefault();
        if (event.ctrlKey || event.metaKey || event.shiftKey) return this.runner.has(this) || this.runner.run(this);
        const line = this.source.slice(0, this.field.selectionStart).split("\n").at(-1);
        const deeper = line.trimEnd().endsWith(":") ? "    " : "";
        document.execCommand("insertText", false, `\n${line.match(/^ */)[0]}${deeper}`); // unlike a change of `value`, this can be undone
      }
    }

    leave() {
      this.field?.remove();
      this.field = null;
      this.pre.parentNode.classList.remove("edited");
    }

    reset() {
      if (this.runner.has(this)) this.runner.stop();
      this.leave();
      this.source = this.original;
      this.pre.replaceChildren(...this.built.code);
      this.replaceOutput(this.built.output);
      this.made = null;
      this.runner.compare();
      this.say("");
      this.runButton.focus();
      this.resetButton.hidden = true;
    }

    link() {
      const made = element("a", "", `live cell ${this.number}`);
      made.href = `#${this.id}`;
      return made;
    }

    say(...words) {
      this.status.replaceChildren(...words);
      this.progress.replaceChildren();
      this.runButton.textContent = this.runner.has(this) ? "Stop" : "Run";
    }

    showProgress(...words) {
      this.progress.replaceChildren(...words);
    }

    hear(kind, content) {
      this.runner.hear(kind, this, content);
    }

    // Mark an output that the code above would no longer give.
    markStale(isStale) {
      this.box.classList.toggle("stale", isStale);
      this.stale.textContent = isStale ? "A cell above has changed since: run again" : "";
    }

    begin() {
      this.resetButton.hidden = false;
      this.fresh = element("div", "cell_output docutils container fresh");
    }

    // Replace the old output when the first new one arrives.
    put(output) {
      this.fresh.append(output);
      if (this.output !== this.fresh) this.replaceOutput(this.fresh);
      dispatchEvent(new Event("resize")); // lets what is too wide be scrolled with the keyboard
    }

    print(content) {
      const last = this.fresh.lastElementChild;
      if (last?.classList.contains("stream")) last.querySelector("pre").append(content);
      else this.put(live.text("stream", content));
    }

    // Say how many lines are left out.
    more(lines) {
      const said = this.fresh.querySelector(".left-out") ?? element("p", "left-out");
      said.textContent = `… ${lines.toLocaleString("en")} line${lines === 1 ? "" : "s"} more`;
      if (!said.parentNode) this.put(said);
    }

    replaceOutput(output) {
      if (this.output && output) this.output.replaceWith(output);
      else if (output) this.input.after(output);
      else this.output?.remove();
      this.output = output;
    }

    end() {
      if (this.output !== this.fresh) this.replaceOutput(null);
    }
  };
})();
