// The questions of a page, in its quiz and between its sections: a chosen answer shows its reason; the right one is kept, and shows all reasons.
(() => {
  const book = globalThis.flopbook;

  for (const question of document.querySelectorAll(".question")) {
    const verdict = question.querySelector("[role=status]");
    const reasons = question.querySelector("details");
    const choices = [...question.querySelectorAll("input")];
    reasons.hidden = true;

    const show = (number) => {
      const right = "right" in choices[number].dataset;
      verdict.className = right ? "right" : "wrong";
      verdict.replaceChildren(...reasons.querySelectorAll(".reason")[number].cloneNode(true).childNodes);
      question.classList.toggle("done", right);
      if (right) reasons.hidden = false;
      return right;
    };

    question.addEventListener("change", (event) => {
      if (show(choices.indexOf(event.target))) book.keep(question.id, event.target.value);
    });

    const kept = choices[book.kept(question.id)];
    if (kept && "right" in kept.dataset) {
      kept.checked = true;
      show(choices.indexOf(kept));
    }
  }
})();
