// A reader's own config.json: the page's Python reads it, and it becomes an option of the calculator's models.
(() => {
  class OwnModel {
    constructor(box) {
      this.box = box;
      this.field = box.querySelector("textarea");
      this.button = box.querySelector("button");
      this.status = box.querySelector("[role=status]");
      this.progress = box.querySelector(".progress");
      this.button.addEventListener("click", () => this.use());
      flopbook.live.engine.foreseeOn(this.button);
      box.addEventListener("dragover", (event) => {
        if (![...event.dataTransfer.types].includes("Files")) return; // a text goes into the field by itself
        event.preventDefault();
        this.mark(true);
      });
      box.addEventListener("dragleave", () => this.mark(false));
      box.addEventListener("drop", (event) => this.drop(event));
    }

    mark(isOver) {
      this.box.classList.toggle("over", isOver);
    }

    async drop(event) {
      this.mark(false);
      const [file] = event.dataTransfer.files;
      if (!file) return;
      event.preventDefault();
      this.box.open = true;
      this.field.value = await file.text();
      this.say(`${file.name} is in the field.`);
      this.button.focus();
    }

    use() {
      const { engine } = flopbook.live;
      if (engine.has(this)) return engine.stop();
      if (!this.field.value.trim()) return this.refuse("The field is empty: paste the text of a config.json.");
      const message = { reader: this.box.dataset.reader, text: this.field.value };
      engine.run(this, () => message);
    }

    say(...words) {
      this.status.replaceChildren(...words);
      this.status.classList.remove("wrong");
      this.field.removeAttribute("aria-invalid");
      this.progress.replaceChildren();
      this.button.textContent = flopbook.live.engine.has(this) ? "Stop" : "Use it";
    }

    refuse(words) {
      this.say(words);
      this.status.classList.add("wrong");
      this.field.setAttribute("aria-invalid", "true");
    }

    showProgress(...words) {
      this.progress.replaceChildren(...words);
    }

    link() {
      const made = document.createElement("a");
      made.href = `#${this.field.id}`;
      made.textContent = "your config.json";
      return made;
    }

    hear(kind, content) {
      if (kind === "running") this.say("Reading the configuration");
      if (kind === "read") this.found = content;
      if (kind === "refused") this.wrong = content;
      if (kind === "done") this.finish();
    }

    finish() {
      const { found, wrong } = this;
      this.found = this.wrong = null;
      if (wrong) return this.refuse(/[.?!]$/.test(wrong) ? wrong : `${wrong}.`);
      this.say(`The model is ${found.name}.`);
      this.box.dispatchEvent(new CustomEvent("option", { bubbles: true, detail: { choice: "model", ...found } }));
    }
  }

  for (const box of document.querySelectorAll("details.own")) new OwnModel(box);
})();
