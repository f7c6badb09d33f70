// Pictures: what the reader sets, the frame that belongs to it, and the address that keeps it.
// The frames come from `picture.py`; this script exchanges what differs, and computes nothing.
globalThis.flopbook ??= {};
flopbook.mountPictures = (root) => {
  const pause = 600; // milliseconds between two steps that are played
  const places = {
    svg: (figure) => [...figure.querySelector("svg.drawing").children].slice(1), // after the style
    rows: (figure) => [...figure.querySelectorAll("details tbody tr")],
    said: (figure) => [figure.querySelector("figcaption span")],
  };

  const parsed = (markup, place) => {
    if (place === "said") return Object.assign(document.createElement("span"), { textContent: markup });
    const wrapped = { svg: `<svg xmlns="http://www.w3.org/2000/svg">${markup}</svg>`, rows: `<table>${markup}</table>` }[place];
    const template = document.createElement("template");
    template.innerHTML = wrapped;
    return template.content.querySelector("tr") ?? template.content.firstElementChild.firstElementChild;
  };

  // Turn an element into another, and keep it where only attributes differ, so that they can move.
  const morph = (old, fresh) => {
    if (old.tagName !== fresh.tagName || old.children.length !== fresh.children.length) return old.replaceWith(fresh);
    for (const { name } of [...old.attributes]) if (name !== "role" && !fresh.hasAttribute(name)) old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    if (!old.children.length) return old.textContent === fresh.textContent || (old.textContent = fresh.textContent);
    const inner = [...fresh.children]; // before one of them moves into the page
    [...old.children].forEach((child, number) => morph(child, inner[number]));
  };

  class Picture {
    constructor(figure) {
      this.figure = figure;
      const { controls, pieces, parts } = JSON.parse(figure.querySelector(":scope > script").textContent);
      this.controls = controls.map(([name, keys, texts, first]) => ({ name, keys, texts, first, at: first }));
      Object.assign(this, { pieces, parts });
      this.told = figure.querySelector(".tools [role=status]");
      this.inputs = [...figure.querySelectorAll("[data-control]")];
      this.inputs.forEach((input, number) => this.listen(input, number));
      const svg = figure.querySelector("svg.drawing");
      svg.addEventListener("click", (event) => this.pick(event.target));
      // what is under the finger now: its events keep the target on which it went down
      svg.addEventListener("pointermove", ({ buttons, clientX, clientY }) => {
        const under = document.elementFromPoint(clientX, clientY);
        if (buttons && svg.contains(under)) this.pick(under);
      });
      this.addTools();
      figure.classList.add("ready");
      if (this.hasAddress) this.restore();
      if (this.controls.some(({ at, first }) => at !== first)) this.show();
    }

    get hasAddress() {
      return this.figure.hasAttribute("data-address");
    }

    listen(input, number) {
      const read = () => (input.type === "checkbox" ? Number(input.checked) : Number(input.selectedIndex ?? input.value));
      input.addEventListener("input", () => this.set(number, read()));
      const box = input.closest("p");
      for (const button of box.querySelectorAll("[data-by]")) {
        button.addEventListener("click", () => this.set(number, this.controls[number].at + Number(button.dataset.by)));
      }
      const play = box.querySelector("[data-play]");
      play?.addEventListener("click", () => (this.playing ? this.stop() : this.play(number, play)));
    }

    play(number, button) {
      const last = this.controls[number].keys.length - 1;
      if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.set(number, last);
      if (this.controls[number].at === last) this.set(number, 0);
      button.textContent = "Stop";
      this.playing = setInterval(() => {
        this.turn(number, this.controls[number].at + 1);
        if (this.controls[number].at === last) this.stop();
      }, pause);
    }

    stop() {
      clearInterval(this.playing);
      this.playing = null;
      for (const button of this.figure.querySelectorAll("[data-play]")) button.textContent = "Play";
    }

    set(number, place) {
      this.stop();
      this.turn(number, place);
    }

    turn(number, place) {
      const control = this.controls[number];
      control.at = Math.max(0, Math.min(place, control.keys.length - 1));
      this.show();
      this.keep();
    }

    // A shape may set controls, such as data-set="T=1024 model=GPT-2": a click does, and dragging across such shapes.
    pick(target) {
      const wishes = target.closest("[data-set]")?.dataset.set.split(";") ?? [];
      for (const [name, key] of wishes.map((wish) => wish.split("="))) {
        const number = this.controls.findIndex((control) => control.name === name);
        const place = this.controls[number].keys.indexOf(key);
        if (place !== this.controls[number].at) this.set(number, place);
      }
    }

    show() {
      this.inputs.forEach((input, number) => {
        const { at, texts } = this.controls[number];
        if (input.type === "checkbox") input.checked = Boolean(at);
        else if (input.type === "range") input.value = at;
        else input.selectedIndex = at;
        if (input.type !== "range") return;
        input.setAttribute("aria-valuetext", texts[at]);
        input.nextElementSibling.textContent = texts[at];
      });
      const shown = this.pieces.map(([axes, texts, which]) => {
        return texts[which[axes.reduce((sum, axis) => sum * this.controls[axis].keys.length + this.controls[axis].at, 0)]];
      });
      for (const [place, number, made] of this.parts) {
        const text = made.map((piece) => (typeof piece === "number" ? shown[piece] : piece)).join("");
        morph(places[place](this.figure)[number], parsed(text, place));
      }
    }

    key(control) {
      return `${this.figure.id.replace("picture-", "")}.${control.name}`;
    }

    keep() {
      if (!this.hasAddress) return;
      const address = new URL(location.href);
      for (const control of this.controls) {
        if (control.at === control.first) address.searchParams.delete(this.key(control));
        else address.searchParams.set(this.key(control), control.keys[control.at]);
      }
      history.replaceState(history.state, "", address);
    }

    restore() {
      const kept = new URLSearchParams(location.search);
      for (const control of this.controls) {
        const wanted = kept.get(this.key(control));
        const place = control.keys.indexOf(wanted);
        if (place >= 0) control.at = place;
        else if (wanted !== null) this.told.textContent = `A part of the address is left out: “${wanted}” is not a value of ${control.name}.`;
      }
    }

    addTools() {
      const add = (name, text, done) => {
        const button = Object.assign(document.createElement("button"), { type: "button", textContent: name });
        button.addEventListener("click", () => this.copy(text(), done));
        this.told.before(button, " ");
      };
      if (this.hasAddress) add("Copy link", () => this.link(), "The link is copied.");
      add("Copy as SVG", () => this.svg(), "The drawing is copied.");
    }

    link() {
      const address = new URL(location.href);
      address.hash = this.figure.id;
      return address.href;
    }

    // Other programs do not know CSS properties, so that their values take their place.
    svg() {
      const text = new XMLSerializer().serializeToString(this.figure.querySelector("svg.drawing"));
      return text.replace(/var\(--[\w-]+,\s*(#\w+)\)/g, "$1").replace(/ (data-set|aria-hidden)="[^"]*"/g, "");
    }

    async copy(text, done) {
      try {
        await navigator.clipboard.writeText(text);
        this.told.textContent = done;
      } catch {
        this.told.textContent = "The browser does not let pages copy.";
      }
    }
  }

  for (const figure of root.querySelectorAll("figure.picture:not(.ready)")) new Picture(figure);
};
flopbook.mountPictures(document);
