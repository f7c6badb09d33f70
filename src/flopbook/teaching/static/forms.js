// The forms of a page's exercises: an answer gets a verdict, and a right answer is kept.
(() => {
  const book = globalThis.flopbook;

  function say(place, { right, message }) {
    const opening = document.createElement("strong");
    opening.textContent = right ? "Right." : "Not yet.";
    place.className = right ? "right" : "wrong";
    place.replaceChildren(opening, ` ${message}`);
  }

  for (const place of document.querySelectorAll("form.exercise:not(.ready)")) {
    const form = JSON.parse(place.dataset.form);
    place.classList.add("ready");
    const verdict = place.querySelector("[role=status]");
    const fields = [...place.querySelectorAll("input")];
    for (const field of fields) {
      field.setAttribute("aria-describedby", verdict.id);
      // JupyterLab takes the press of Enter for itself, and leaves its release.
      field.addEventListener("keyup", (event) => event.key === "Enter" && place.requestSubmit());
    }

    const answers = () => Object.fromEntries(fields.map((field) => [field.name, field.value]));
    const judge = () => (form.claims ? book.checkAudit(form, answers()) : book.check(form, fields[0].value));

    place.addEventListener("submit", (event) => {
      event.preventDefault();
      const judged = judge();
      say(verdict, judged);
      place.classList.toggle("done", judged.right);
      if (judged.right) book.keep?.(place.id, answers()); // the site keeps it
    });

    const kept = book.kept?.(place.id);
    if (!kept) continue;
    for (const field of fields) field.value = kept[field.name] ?? "";
    const judged = judge();
    if (judged.right) {
      say(verdict, judged);
      place.classList.add("done");
    } else fields.forEach((field) => (field.value = ""));
  }
})();
