// Tables that a reader sorts by a column and filters by words; without this script, they are tables.
for (const box of document.querySelectorAll(".sortable")) {
  const table = box.querySelector("table");
  const body = table.tBodies[0];
  const rows = [...body.rows];
  const heads = [...table.tHead.rows[0].cells];
  const status = Object.assign(document.createElement("span"), { role: "status" });

  // What a cell says: of several numbers, the one that is shown. A number is written exactly in its `value`.
  const said = (row, column) => {
    const cell = row.cells[column];
    const numbers = [...cell.querySelectorAll("data")];
    const number = numbers.find((one) => getComputedStyle(one).display !== "none") ?? numbers[0];
    if (number) return number.value === "" ? null : Number(number.value);
    return (cell.querySelector("button") ?? cell).textContent.trim();
  };

  // Rows without a number stand at the end, whichever way the others go.
  const sort = (column, upwards) => {
    const keys = new Map(rows.map((row) => [row, said(row, column)]));
    const compare = (a, b) => (typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true }));
    rows.sort((one, other) => {
      const [a, b] = [keys.get(one), keys.get(other)];
      if (a === null || b === null) return (a === null) - (b === null);
      return upwards ? compare(a, b) : compare(b, a);
    });
    body.append(...rows);
    for (const head of heads) head.removeAttribute("aria-sort");
    heads[column].setAttribute("aria-sort", upwards ? "ascending" : "descending");
  };

  heads.forEach((head, column) => {
    const button = Object.assign(document.createElement("button"), { type: "button" });
    button.append(...head.childNodes);
    head.append(button);
    // Numbers begin with the largest, words with A; a second press turns the order round.
    button.addEventListener("click", () => {
      const now = head.getAttribute("aria-sort");
      const isNumber = rows.some((row) => typeof said(row, column) === "number");
      sort(column, now ? now === "descending" : !isNumber);
      status.textContent = `${shown()}, by ${button.textContent}, ${head.getAttribute("aria-sort")}`;
    });
  });

  // Each word has to be part of a cell of words, such as a model's name or its architecture.
  const words = (row) => heads.map((_, column) => said(row, column)).filter((one) => typeof one === "string");
  const text = new Map(rows.map((row) => [row, words(row).join(" ").toLowerCase()]));
  const shown = () => {
    const left = rows.filter((row) => !row.hidden).length;
    return left < rows.length ? `${left} of ${rows.length} rows` : `All ${rows.length} rows`;
  };
  const filter = (wanted) => {
    for (const row of rows) row.hidden = !wanted.every((word) => text.get(row).includes(word));
    status.textContent = shown();
  };

  const field = Object.assign(document.createElement("input"), { type: "search", size: 14 });
  field.addEventListener("input", () => filter(field.value.toLowerCase().split(/\s+/)));
  const label = document.createElement("label");
  label.append("Show rows with ", field);
  const panel = Object.assign(document.createElement("p"), { className: "panel" });
  panel.append(label, " ", status);
  table.before(panel);
  filter([]);

  for (const choice of box.querySelectorAll("input[type=radio]")) {
    choice.addEventListener("change", () => {
      const sorted = heads.findIndex((head) => head.hasAttribute("aria-sort"));
      if (sorted >= 0) sort(sorted, heads[sorted].getAttribute("aria-sort") === "ascending");
    });
  }
}
