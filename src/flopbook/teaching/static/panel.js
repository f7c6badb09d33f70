// Calculators: the sizes that a reader sets, the results that follow, and the address that keeps them.
(() => {
  const pause = 400; // milliseconds without a change before results are read aloud and kept in the address

  class Panel {
    constructor(box) {
      this.box = box;
      this.name = box.dataset.name;
      const { names, rows } = window.calculators[this.name];
      this.names = names;
      this.functions = rows(exact);
      this.fields = new Map([...box.querySelectorAll(".size")].map((field) => [field.dataset.size, new Field(field, this)]));
      this.choices = [...box.querySelectorAll("select")].map((select) => new Choice(select, this));
      this.start = new Map();
      for (const choice of this.choices) this.assign(choice.options[0].sizes, this.start);
      for (const [name, field] of this.fields) this.start.set(name, field.size);
      this.values = new Map(this.start);
      this.told = box.querySelector(".told");
      box.querySelector(".reset").addEventListener("click", () => this.reset());
      box.querySelector(".copy-link")?.addEventListener("click", () => this.copyLink());
      box.addEventListener("option", ({ detail }) => this.add(detail));
      for (const mathml of box.querySelectorAll(".put-in .katex-mathml")) mathml.remove();
      box.classList.add("ready");
      if (this.hasAddress) this.restore();
      this.show();
      new ResizeObserver(() => this.draw()).observe(box);
    }

    get hasAddress() {
      return "address" in this.box.dataset;
    }

    assign(sizes, target = this.values) {
      for (const [name, size] of sizes) target.set(name, size);
    }

    // Add an option to a choice, and choose it.
    add({ choice, name, sizes }) {
      const chosen = this.choices.find((one) => one.name === choice);
      this.set(chosen.pick(chosen.add(name, sizes)));
    }

    set(sizes) {
      this.assign(sizes);
      this.told.textContent = "";
      this.show();
      clearTimeout(this.waiting);
      this.waiting = setTimeout(() => this.settle(), pause);
    }

    settle() {
      this.say();
      if (this.hasAddress) this.keep();
    }

    value(row, values = this.values) {
      return exact.value(this.functions[row](...this.names.map((name) => values.get(name))));
    }

    show() {
      const fields = [...this.fields.values()];
      for (const field of fields) field.show(this.values);
      this.misfits = fields.map((field) => field.refused || field.misfit(this.values)).filter((words) => words);
      for (const choice of this.choices) choice.show(this.values);
      this.results = [...this.box.querySelectorAll(".results tbody tr")].map((row, number) => this.showRow(row, number));
      for (const row of this.results) row.drawBar(this.results);
      for (const { title, short } of this.results) {
        const watched = this.box.querySelector(`.watched [data-row="${title}"]`);
        if (watched) watched.textContent = short;
      }
      const tooMuch = this.box.querySelector(".too-much");
      if (tooMuch) tooMuch.hidden = !this.results.some(({ unit, size }) => unit === "of memory" && size > 1);
      this.putIn();
      this.draw();
    }

    showRow(row, number) {
      const { unit } = row.dataset;
      const value = this.misfits.length ? null : this.value(number);
      const none = this.misfits.length ? "–" : "undefined: it divides by 0";
      row.querySelector(".short").textContent = value ? exact.short(value, unit) : none;
      row.querySelector(".long").innerHTML = value ? exact.long(value).replaceAll(",", ",<wbr>") : "";
      const title = row.querySelector("th").textContent;
      const size = value ? Math.abs(Number(value.above) / Number(value.below)) : 0;
      const drawBar = (rows) => {
        const others = rows.filter((other) => other.unit && other.unit === unit).map((other) => other.size);
        const share = others.length > 1 ? size / Math.max(...others) : 0;
        row.querySelector(".bar rect")?.setAttribute("width", `${100 * (share || 0)}%`);
      };
      const short = row.querySelector(".short").textContent;
      return { title, unit, size, short, drawBar, value, text: `${title}: ${short}` };
    }

    putIn() {
      const size = (name) => (this.fields.get(name)?.refused ? "?" : this.values.get(name));
      for (const place of this.box.querySelectorAll(".put-in [data-put]")) {
        place.textContent = exact.thousands(size(place.dataset.put));
      }
      const lines = [...this.box.querySelectorAll(".put-in")];
      for (const line of lines) {
        line.lastElementChild.textContent = line.dataset.text.replace(/[A-Za-z]\w*/g, (name) => size(name) ?? name);
      }
      const scrolls = lines.map((line) => line.scrollWidth > line.clientWidth); // all are asked before one changes
      lines.forEach((line, at) => (line.tabIndex = scrolls[at] ? 0 : -1)); // what scrolls can have the keyboard's focus
    }

    draw() {
      const box = this.box.querySelector(".curve");
      if (!box) return;
      if (this.misfits.length) return box.replaceChildren();
      const letter = box.dataset.over;
      const { unit } = this.results[0];
      const now = this.values.get(letter);
      const stops = sizes.reaching(this.fields.get(letter).stops, now);
      const rows = this.results.flatMap((row, number) => (row.unit === unit ? [[row.title, number]] : []));
      const at = (number) => stops.map((size) => this.value(number, new Map(this.values).set(letter, size)));
      const lines = rows.map(([title, number]) => [title, at(number), this.results[number].value]);
      drawing.curve(box, letter, stops, lines, now, unit);
    }

    say() {
      const told = this.misfits.length ? this.misfits : this.results.map((row) => row.text);
      this.box.querySelector(".said").textContent = `${told.join("; ")}.`;
    }

    // The address holds what differs from the start: a choice by the name of its option, a size by its number.
    keep() {
      const address = new URL(location.href);
      for (const key of [...address.searchParams.keys()]) {
        if (key.startsWith(`${this.name}.`)) address.searchParams.delete(key);
      }
      const base = new Map(this.start);
      for (const choice of this.choices) {
        const option = choice.chosen(this.values);
        if (!option || option === choice.options[0]) continue;
        if (!option.isOwn) address.searchParams.set(`${this.name}.${choice.name}`, option.name);
        this.assign(option.sizes, base);
      }
      for (const name of this.fields.keys()) {
        const size = this.values.get(name);
        if (size !== base.get(name)) address.searchParams.set(`${this.name}.${name}`, size);
      }
      history.replaceState(history.state, "", address);
    }

    restore() {
      const kept = new URLSearchParams(location.search);
      const wrong = [];
      for (const choice of this.choices) {
        const name = kept.get(`${this.name}.${choice.name}`);
        const option = choice.options.find((one) => one.name === name);
        if (option) this.assign(choice.pick(option));
        else if (name !== null) wrong.push(`“${name}” is not a known ${choice.name}`);
      }
      for (const [name, field] of this.fields) {
        const text = kept.get(`${this.name}.${name}`);
        if (text === null) continue;
        const size = field.read(text);
        if (typeof size === "bigint") this.values.set(name, size);
        else wrong.push(`${name}: ${size}`);
      }
      if (wrong.length) this.told.textContent = `Parts of the address are left out: ${wrong.join("; ")}.`;
    }

    reset() {
      for (const choice of this.choices) choice.pick(choice.options[0]);
      for (const field of this.fields.values()) field.refused = "";
      this.set(this.start);
      this.settle();
    }

    async copyLink() {
      clearTimeout(this.waiting);
      this.keep();
      const address = new URL(location.href);
      address.hash = this.box.id;
      try {
        await navigator.clipboard.writeText(address.href);
        this.told.textContent = "The link is copied.";
      } catch {
        this.told.textContent = "The browser does not let pages copy: copy the page's address yourself.";
      }
    }
  }

  for (const box of document.querySelectorAll(".calculator:not(.ready)")) new Panel(box);
})();
