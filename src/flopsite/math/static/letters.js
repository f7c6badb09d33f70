// Shows the meaning of a letter next to it, when the pointer is on the letter or it is touched. The meanings come from the
// page's list of letters, which keyboards and screen readers reach once.
(() => {
  const meanings = new Map(
    [...document.querySelectorAll("details.letters dl > div")].map((entry) => [
      entry.querySelector("dt").textContent,
      entry.querySelector("dd").textContent,
    ]),
  );
  if (!meanings.size) return;
  const tooltip = document.createElement("div");
  tooltip.className = "tooltip";
  tooltip.setAttribute("role", "tooltip");
  tooltip.setAttribute("aria-hidden", "true");
  tooltip.hidden = true;
  document.body.append(tooltip);

  const hide = () => {
    tooltip.hidden = true;
  };
  const show = (letter) => {
    tooltip.textContent = `${letter.textContent}: ${meanings.get(letter.textContent)}`;
    tooltip.hidden = false;
    const at = letter.getBoundingClientRect();
    const left = Math.min(at.left, document.documentElement.clientWidth - tooltip.offsetWidth - 8);
    const isRoomAbove = at.top > tooltip.offsetHeight + 8;
    tooltip.style.left = `${Math.max(8, left) + scrollX}px`;
    tooltip.style.top = `${(isRoomAbove ? at.top - tooltip.offsetHeight : at.bottom) + scrollY}px`;
  };
  for (const event of ["pointerover", "click"]) {
    document.addEventListener(event, ({ target }) => {
      const letter = target.closest?.(".letter");
      if (letter && meanings.has(letter.textContent)) show(letter);
      else if (target.closest?.(".tooltip") === null) hide();
    });
  }
  document.addEventListener("keydown", ({ key }) => key === "Escape" && hide());
})();
