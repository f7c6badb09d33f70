// Splits a text into numbers, letters and signs: 2BDK, 2·B·D·K, 6.63 GFLOPs.
(() => {
  const book = globalThis.flopbook;
  const { fraction } = book.fractions;

  const SIGNS = Object.fromEntries(
    [..."×·⋅∙−–÷[]\t\n\v\f\r\u00a0\u2009\u202f"].map((sign, i) => [sign, "****--/()"[i] ?? " "]),
  );
  const FULL_WIDTH = /[\uff01-\uff5e]/g; // forms of a keyboard's signs
  const TIMES = /\\(?:times|cdot)(?![A-Za-z])|(?<=[\d)]) +[xX] +(?=[\d(])/g;
  const POWERS = { k: 3, K: 3, M: 6, G: 9, T: 12, P: 15, E: 18, Z: 21 };
  const RAISED = "⁰¹²³⁴⁵⁶⁷⁸⁹";
  const UNIT = /(?<=[\d )%]) *([kKMGTPEZ]?)([Ff][Ll][Oo][Pp][Ss]?|[Bb][Yy][Tt][Ee][Ss]?|[Dd][Aa][Yy][Ss]?|[Hh][Oo][Uu][Rr][Ss]?) *$/;
  const NAMED = /^ *[A-Za-z]\w* *=/;
  const NUMBER = /(?:\d{1,3}(?:[,_ ]\d{3})+(?![\d,_])|\d+)(?:\.\d+)?(?:e[+-]?\d{1,2}(?!\d))?(?: *%)?|\.\d+(?: *%)?/y;
  const DECIMAL = /^-?[\d,]*(?:\.(\d+))?(?:e([+-]?\d+)|\*10(?:\^|\*\*)([+-]?\d+))?(%?)$/;
  const LETTERS = /[A-Za-z][A-Za-z0-9_]*/y;
  const SIGN = /\*\*|[-+*/^()]/y;

  class ReadingError extends Error {}

  const strip = (text) => text.replace(/^ +| +$/g, "");

  // A text in quotation marks, a long one by its beginning.
  const quoted = (text) => `“${[...text].length > 60 ? [...text].slice(0, 60).join("") + "..." : text}”`;

  // The bare formula in signs of a keyboard, and its unit's power of ten.
  function plain(text) {
    const narrow = text.replace(FULL_WIDTH, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0));
    const signs = [...narrow].map((sign) => SIGNS[sign] ?? sign).join("");
    const bare = strip(signs.replace(TIMES, "*").replace(NAMED, "")).replace(/\.$/, "");
    const raised = bare.replace(
      /[⁰¹²³⁴⁵⁶⁷⁸⁹]+/g,
      (digits) => "^" + [...digits].map((one) => RAISED.indexOf(one)).join(""),
    );
    const unit = UNIT.exec(raised);
    return [strip(unit ? raised.slice(0, unit.index) : raised), unit ? (POWERS[unit[1]] ?? 0) : 0];
  }

  // Decimal places of a text that is one decimal number, or a whole one with an exponent, % or a unit (GFLOPs).
  function decimalPlaces(text, unitPower) {
    const number = DECIMAL.exec(text.replaceAll(" ", ""));
    if (!number || !(number[1] || number[2] || number[3] || number[4] || unitPower)) return null;
    return (number[1] ?? "").length - Number(number[2] ?? number[3] ?? 0) + 2 * number[4].length - unitPower;
  }

  // Each number, run of letters and sign.
  function* tokens(text) {
    if (!text) throw new ReadingError("no formula or number is written");
    for (let position = 0; position < text.length;) {
      if (text[position] === " ") {
        position += 1;
        continue;
      }
      const kinds = { number: NUMBER, letters: LETTERS, sign: SIGN };
      const found = Object.entries(kinds).find(([, pattern]) => ((pattern.lastIndex = position), pattern.test(text)));
      if (!found)
        throw new ReadingError(`${quoted(String.fromCodePoint(text.codePointAt(position)))} has no meaning here`);
      yield [found[0], text.slice(position, found[1].lastIndex)];
      position = found[1].lastIndex;
    }
  }

  function number(text) {
    const [, digits, decimals = "", exponent = "0"] = /^(\d*)(?:\.(\d+))?(?:e([+-]?\d+))?/.exec(
      text.replace(/[,_ ]/g, ""),
    );
    const shift = Number(exponent) - decimals.length - (text.endsWith("%") ? 2 : 0);
    const whole = BigInt(digits + decimals);
    return shift < 0 ? fraction(whole, 10n ** BigInt(-shift)) : fraction(whole * 10n ** BigInt(shift));
  }

  // The axes and numbers of a run such as BDK or BH1.
  function factors(letters, known) {
    const eitherCase = (name) =>
      name.replace(/[A-Za-z]/g, (one) => `[${one.toLowerCase()}${one.toUpperCase()}]`) + "(?!\\d)";
    const names = [...known].sort((one, other) => other.length - one.length).map(eitherCase);
    const part = new RegExp([...names, "[A-Za-z](?:\\d+|_[A-Za-z0-9]+)?", "\\d+", "_"].join("|"), "g");
    return letters.match(part).map((text) => {
      if (text === "_") throw new ReadingError("“_” has no meaning here");
      if (/^\d/.test(text)) return { number: number(text), shown: text };
      const bare = text.replaceAll("_", "");
      const alike = known.filter((name) => name.toLowerCase() === bare.toLowerCase());
      const name = known.includes(bare) ? bare : alike.length === 1 ? alike[0] : text;
      return { name, shown: name };
    });
  }

  // Atoms and signs, with every sign of multiplication; and the text of them.
  function rewrite(text, known) {
    const pieces = [];
    let shown = "";
    let before = "";
    const times = () => {
      pieces.push("*");
      shown += "*";
    };
    for (const [kind, token] of tokens(text)) {
      if (kind === "number" && before === "number") throw new ReadingError("there are two numbers in a row");
      const follows = ["number", "letters", ")"].includes(before);
      if (follows && (kind !== "sign" || token === "(")) times();
      if (kind === "sign") {
        pieces.push(token === "^" ? "**" : token);
        shown += follows && "+-".includes(token) ? ` ${token} ` : token;
      } else {
        const atoms = kind === "number" ? [{ number: number(token), shown: token }] : factors(token, known);
        atoms.forEach((atom, i) => {
          if (i) times();
          pieces.push(atom);
          shown += atom.shown;
        });
      }
      before = kind === "sign" ? token : kind;
    }
    return [pieces, shown];
  }

  Object.assign(book, { ReadingError, quoted, plain, decimalPlaces, rewrite });
})();
