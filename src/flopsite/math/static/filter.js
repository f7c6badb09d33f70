// Shows of the formula index the cards that have all chosen letters.
(() => {
  const cards = [...document.querySelectorAll(".formula-cards > li")];
  const lettersOf = new Map(
    cards.map((card) => [card, new Set([...card.querySelectorAll(".letter")].map((letter) => letter.textContent))]),
  );
  const letters = [...new Set([...lettersOf.values()].flatMap((some) => [...some]))].sort();
  const chosen = new Set();
  const status = Object.assign(document.createElement("span"), { role: "status" });

  function show() {
    for (const card of cards) card.hidden = ![...chosen].every((letter) => lettersOf.get(card).has(letter));
    for (const list of document.querySelectorAll(".formula-cards")) {
      const isEmpty = [...list.children].every((card) => card.hidden);
      list.hidden = isEmpty;
      list.previousElementSibling.hidden = isEmpty;
    }
    const left = cards.filter((card) => !card.hidden).length;
    status.textContent = chosen.size ? `${left} of ${cards.length} formulas` : `All ${cards.length} formulas`;
  }

  const panel = Object.assign(document.createElement("p"), { className: "panel letter-filter" });
  panel.append("With the letters ");
  for (const letter of letters) {
    const button = Object.assign(document.createElement("button"), { type: "button", textContent: letter });
    button.setAttribute("aria-pressed", "false");
    button.addEventListener("click", () => {
      if (!chosen.delete(letter)) chosen.add(letter);
      button.setAttribute("aria-pressed", chosen.has(letter));
      show();
    });
    panel.append(button, " ");
  }
  panel.append(status);
  document.querySelector(".formula-cards").previousElementSibling.before(panel);
  show();
})();
