// Judges an answer as flopbook.teaching.exercises does, by the form of an exercise: {right, letters, hints, exactly, sizes}.
(() => {
  const book = globalThis.flopbook;
  const { fraction, subtract, multiply, same, rounded, text, decimal } = book.fractions;

  const SIZES_TRIED = 20;

  const equal = (one, other) => one.values.every((value, i) => same(value, other.values[i]));

  // A formula in the form has every sign, so that each of its words is one name.
  const written = (source) => book.formula(source, source.match(/[A-Za-z]\w*/g) ?? []);

  // Whether the answer is a decimal, of two digits or more, that a number rounds to.
  function isRounded(exact, answer) {
    if (answer.decimals === null || exact.letters.length) return false;
    const [value] = answer.values;
    const size = value.above < 0n ? -value.above : value.above;
    const ten = 10n ** BigInt(Math.abs(answer.decimals));
    const digits =
      answer.decimals < 0 ? fraction(size, value.below * ten) : multiply(fraction(size, value.below), fraction(ten));
    return digits.above >= 10n * digits.below && same(rounded(exact.values[0], answer.decimals), value);
  }

  function difference(form, right, given) {
    const unknown = given.letters.filter((name) => !form.letters.includes(name)).sort();
    if (unknown.length) {
      const allowed = form.letters.length ? `its letters are ${form.letters.join(", ")}` : "it is a number";
      return `I read ${given.text}. There is no ${unknown.join(", ")} in the right answer: ${allowed}.`;
    }
    if (!form.letters.length) {
      const [value] = given.values;
      return `${decimal(value)} is too ${subtract(value, right.values[0]).above > 0n ? "large" : "small"}.`;
    }
    const [sizes, value] = telling(form, right, given);
    const said = value ? `is ${text(value)}` : "divides by zero";
    const at = form.letters.map((name) => `${name} = ${sizes[name]}`).join(", ");
    return `I read ${given.text}. At ${at} that ${said}, and the right answer gives ${text(right.at(sizes))}.`;
  }

  // Small sizes at which an answer and the right one differ, and the answer's value there; large ones always tell.
  function telling(form, right, given) {
    const small = Array.from({ length: SIZES_TRIED }, (_, step) =>
      Object.fromEntries(form.letters.map((name, i) => [name, form.sizes[name] + step * (i + 1)])),
    );
    const large = book.largeSizes.map((size) => Object.fromEntries(form.letters.map((name) => [name, size(name)])));
    for (const sizes of [...small, ...large]) {
      const value = valueAt(given, sizes);
      if (!value || !same(value, right.at(sizes))) return [sizes, value];
    }
  }

  // The value of a formula, or null where it divides by zero.
  function valueAt(formula, sizes) {
    try {
      return formula.at(sizes);
    } catch (error) {
      if (!(error instanceof book.ReadingError)) throw error;
      return null;
    }
  }

  function check(form, answer) {
    const right = written(form.right);
    let given;
    try {
      given = book.read(answer, form.letters);
    } catch (error) {
      if (!(error instanceof book.ReadingError)) throw error;
      return { right: false, message: `${error.message}.` };
    }
    if (equal(given, right)) return { right: true, message: "" };
    if (isRounded(right, given)) return { right: true, message: form.exactly };
    const hint = form.hints.find(([wrong]) => equal(given, written(wrong)) || isRounded(written(wrong), given));
    return { right: false, message: hint ? hint[1] : difference(form, right, given) };
  }

  // What is missing from a verdict on a claim of a report; empty if the claim is settled. As in flopbook.teaching.audits.
  function problem(truth, why, answer) {
    const said = answer.trim().toLowerCase();
    if (said === truth) return "";
    if (said === "") return "not judged yet.";
    if (truth === "right") return "blamed without cause; compute it again.";
    if (["right", "not decidable"].includes(said) || typeof truth === "string") return `missed. ${why}`;
    if (said === "wrong") return "wrong it is. Now give the right figure.";
    const verdict = check(truth, answer);
    return verdict.right ? "" : `wrong it is, but not by that figure. ${verdict.message}`;
  }

  function checkAudit({ claims, why }, answers) {
    const problems = Object.entries(claims).map(([name, truth]) => [name, problem(truth, why[name], answers[name])]);
    const open = problems.filter(([, said]) => said).map(([name, said]) => `${name}: ${said}`);
    const settled = `${problems.length - open.length} of ${problems.length} claims settled.`;
    return { right: open.length === 0, message: [settled, ...open].join("\n") };
  }

  Object.assign(book, { check, checkAudit });
})();
