// The fields of a calculator: a size with its slider and its text, and a choice that sets several sizes.
const { Field, Choice } = (() => {
  class Field {
    constructor(box, panel) {
      const name = (this.name = box.dataset.size);
      this.divides = box.dataset.divides;
      [this.slider, this.text] = box.querySelectorAll("input");
      this.wrong = box.querySelector(".wrong");
      this.size = sizes.read(this.text.value);
      [this.low, this.high] = [BigInt(box.dataset.low), BigInt(box.dataset.high)];
      this.only = "only" in box.dataset;
      this.stops = sizes.stops(this.low, this.high);
      this.slider.max = this.stops.length - 1;
      this.refused = ""; // why the text is refused
      this.slider.addEventListener("input", () => {
        this.refused = "";
        panel.set([[name, this.stops[this.slider.value]]]);
      });
      this.text.addEventListener("input", () => {
        const size = this.read(this.text.value);
        this.refused = typeof size === "string" ? size : "";
        panel.set(this.refused ? [] : [[name, size]]);
      });
      this.text.addEventListener("change", () => this.wrong.hidden && this.show(panel.values));
    }

    read(text) {
      const size = sizes.read(text);
      const outside = typeof size === "bigint" && this.only && (size < this.low || size > this.high);
      return outside ? `“${text}” is out of range: write ${this.low} to ${this.high}` : size;
    }

    // Why the size does not fit the other sizes; such a model does not exist, so its results are left out.
    misfit(values) {
      const [size, whole] = [values.get(this.name), values.get(this.divides)];
      if (!whole || whole % size === 0n) return "";
      const divisors = [...new Set([globalThis.flopbook.fractions.divisor(size, whole), whole])].join(" or ");
      return `${this.name} = ${size} does not divide ${this.divides} = ${whole}: write a divisor, such as ${divisors}`;
    }

    complain(text) {
      this.wrong.textContent = text;
      this.wrong.hidden = !text;
      this.text.setAttribute("aria-invalid", Boolean(text));
    }

    // The reader's text is left as it is while the reader types, and while it is refused, until the size changes.
    show(values) {
      const size = values.get(this.name);
      if (this.refused && size === this.shown) return this.complain(this.refused);
      [this.refused, this.shown] = ["", size];
      const typing = document.activeElement === this.text && sizes.read(this.text.value) === size;
      if (!typing) this.text.value = exact.thousands(size);
      this.complain(this.misfit(values));
      this.slider.value = sizes.nearest(this.stops, size);
      this.slider.setAttribute("aria-valuetext", exact.thousands(size));
    }
  }

  class Choice {
    constructor(select, panel) {
      this.select = select;
      this.name = select.dataset.choice;
      this.picked = null; // the option that was chosen, since several options may set the same sizes
      this.options = [...select.options].filter((option) => option.dataset.sizes).map((option) => this.read(option));
      select.addEventListener("change", () => panel.set(this.pick(this.options[select.selectedIndex])));
    }

    read(option) {
      const sizes = Object.entries(JSON.parse(option.dataset.sizes)).map(([name, size]) => [name, BigInt(size)]);
      return { name: option.textContent, sizes, isOwn: "own" in option.dataset };
    }

    // Add an option of the reader's own, which the address does not keep, in the place of one with this name.
    add(name, sizes) {
      const made = new Option(name);
      made.dataset.own = "";
      made.dataset.sizes = JSON.stringify(sizes);
      const same = this.options.findIndex((option) => option.isOwn && option.name === name);
      const place = same < 0 ? this.options.length : same;
      if (same >= 0) this.select.remove(place);
      this.select.add(made, place);
      return (this.options[place] = this.read(made));
    }

    pick(option) {
      this.picked = option;
      return option.sizes;
    }

    chosen(values) {
      const stands = (option) => option?.sizes.every(([name, size]) => values.get(name) === size);
      return stands(this.picked) ? this.picked : this.options.find(stands);
    }

    show(values) {
      const option = this.chosen(values);
      this.select.selectedIndex = option ? this.options.indexOf(option) : this.options.length;
    }
  }

  return { Field, Choice };
})();
