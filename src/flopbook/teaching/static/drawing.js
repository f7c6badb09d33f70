// The curve of a calculator: results over one size, on axes that are logarithmic where the values span magnitudes.
const drawing = (() => {
  const margin = { left: 64, right: 14, top: 26, bottom: 40 };
  const plotHeight = 200;
  const dashes = ["none", "7 4", "2 3", "9 3 2 3"];
  const number = ({ above, below }) => Number(above) / Number(below);

  const make = (name, attributes, text = "") => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
    element.textContent = text;
    return element;
  };

  // The values to label: decades, or five from end to end.
  const ticks = (low, high, logarithmic) => {
    if (!logarithmic) return [0, 1, 2, 3, 4].map((part) => low + (part * (high - low)) / 4);
    const first = Math.ceil(Math.log10(low) - 1e-9);
    const last = Math.floor(Math.log10(high) + 1e-9);
    const step = Math.max(1, Math.ceil((last - first) / 5));
    return Array.from({ length: Math.floor((last - first) / step) + 1 }, (_, i) => 10 ** (first + i * step));
  };

  // A scale between two ends: the place of each value, and the values to label.
  const axis = (values, from, to) => {
    const low = Math.min(...values);
    const high = Math.max(...values);
    const logarithmic = low > 0 && high / low > 50;
    const map = logarithmic ? Math.log10 : (value) => value;
    const span = map(high) - map(low) || 1;
    const place = (value) => from + ((map(value) - map(low)) / span) * (to - from);
    return { place, ticks: high > low ? ticks(low, high, logarithmic) : [low] };
  };

  const label = (value, unit) => {
    const scale = 10n ** 12n;
    const fraction = Math.abs(value) < 1e6 ? [BigInt(Math.round(value * 1e12)), scale] : [BigInt(Math.round(value)), 1n];
    const text = exact.short(exact.value(fraction), unit).replace(new RegExp(` ?${unit}$`), "");
    return text.replace(/\.0+(?!\d)|(?<=\.\d+)0+(?!\d)/, "");
  };

  const grid = (svg, x, y, width, top, unit) => {
    const bottom = top + plotHeight;
    for (const value of x.ticks) {
      svg.append(make("line", { class: "grid", x1: x.place(value), x2: x.place(value), y1: top, y2: bottom }));
      const anchor = x.place(value) > width - 40 ? "end" : "middle";
      svg.append(make("text", { x: x.place(value), y: bottom + 16, "text-anchor": anchor }, label(value, "")));
    }
    for (const value of y.ticks) {
      svg.append(make("line", { class: "grid", x1: margin.left, x2: width - margin.right, y1: y.place(value), y2: y.place(value) }));
      svg.append(make("text", { x: margin.left - 6, y: y.place(value) + 4, "text-anchor": "end" }, label(value, unit)));
    }
  };

  // The legend is text of the page and not of the drawing, so that a long title breaks into lines.
  const legend = (titles) => {
    const list = document.createElement("ul");
    list.append(...titles.map((title, line) => {
      const item = document.createElement("li");
      const sample = make("svg", { width: 30, height: 8, "aria-hidden": true });
      sample.append(make("line", { class: "line", x1: 0, x2: 30, y1: 4, y2: 4, "stroke-dasharray": dashes[line % 4] }));
      item.append(sample, title);
      return item;
    }));
    return list;
  };

  const tell = (letter, stops, lines, unit) => {
    const told = lines.map(([title, values]) => {
      const [first, ...others] = values.filter((value) => value).map((value) => exact.short(value, unit));
      return `${title}: from ${first} to ${others.at(-1)}`;
    });
    return `Curve over ${letter} from ${exact.thousands(stops[0])} to ${exact.thousands(stops.at(-1))}. ${told.join("; ")}.`;
  };

  // `lines` are [title, [value, ...], value now] with a value for each of `stops`; `now` is the size that is set.
  const curve = (box, letter, stops, lines, now, unit) => {
    const width = Math.max(box.clientWidth, 240);
    const { top } = margin;
    const bottom = top + plotHeight;
    const sizes = stops.map(Number);
    const x = axis(sizes, margin.left, width - margin.right);
    const y = axis(lines.flatMap(([, values]) => values.filter((value) => value).map(number)), bottom, top);
    const svg = make("svg", { width, viewBox: `0 0 ${width} ${bottom + margin.bottom}`, role: "img" }); // paper may be narrower
    svg.setAttribute("aria-label", tell(letter, stops, lines, unit));
    grid(svg, x, y, width, top, unit);
    lines.forEach(([, values], line) => {
      const points = sizes.flatMap((size, i) => (values[i] ? [`${x.place(size)},${y.place(number(values[i]))}`] : []));
      svg.append(make("polyline", { class: "line", points: points.join(" "), "stroke-dasharray": dashes[line % 4] }));
    });
    const at = x.place(Number(now));
    svg.append(make("line", { class: "now", x1: at, x2: at, y1: top, y2: bottom }));
    for (const [, , value] of lines.filter(([, , value]) => value)) {
      const anchor = at > width / 2 ? "end" : "start";
      svg.append(make("circle", { class: "point", cx: at, cy: y.place(number(value)), r: 4 }));
      const place = { x: at + (anchor === "end" ? -8 : 8), y: y.place(number(value)) + (anchor === "end" ? -6 : 14) };
      svg.append(make("text", { ...place, "text-anchor": anchor }, exact.short(value, unit)));
    }
    svg.append(make("text", { class: "over", x: (margin.left + width) / 2, y: bottom + 34, "text-anchor": "middle" }, letter));
    svg.append(make("text", { x: margin.left - 6, y: top - 12, "text-anchor": "end" }, unit));
    box.replaceChildren(...(lines.length > 1 ? [legend(lines.map(([title]) => title))] : []), svg);
  };

  return { curve };
})();
