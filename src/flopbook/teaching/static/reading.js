// Reads a formula, and never runs it. flopbook.teaching.answers reads the same values; its messages may differ.
(() => {
  const book = globalThis.flopbook;
  const { ReadingError, quoted } = book;
  const { fraction, add, subtract, multiply, divide, power, isZero, wholeNumber } = book.fractions;

  const LONGEST_TEXT = 300;
  const LARGEST_BITS = 10_000;
  const LETTER_BITS = 32;
  const UNBALANCED = "a sign or a parenthesis is missing, or one too many";

  // The tree of a formula, with Python's order of operations: -B**2 is -(B**2).
  function parse(pieces) {
    let next = 0;
    const take = (...signs) => signs.includes(pieces[next]) && pieces[next++];
    const chain = (operand, ...signs) => {
      let left = operand();
      for (let sign; (sign = take(...signs));) left = { sign, left, right: operand() };
      return left;
    };
    const sum = () => chain(product, "+", "-");
    const product = () => chain(signed, "*", "/");
    const signed = () => {
      const sign = take("+", "-");
      return sign ? { sign, operand: signed() } : raised();
    };
    const raised = () => {
      const base = atom();
      return take("**") ? { sign: "**", left: base, right: signed() } : base;
    };
    const atom = () => {
      if (typeof pieces[next] === "object") return pieces[next++];
      if (!take("(")) throw new ReadingError(UNBALANCED);
      if (take(")")) return { empty: true };
      const inside = sum();
      if (!take(")")) throw new ReadingError(UNBALANCED);
      return inside;
    };
    const tree = sum();
    if (next < pieces.length) throw new ReadingError(UNBALANCED);
    return tree;
  }

  const OPERATIONS = { "+": add, "-": subtract, "*": multiply, "/": divide };

  // The values of a tree at some points (functions from letters to sizes), and a bound on their bits, which refuses a tower
  // of powers.
  function build(tree, points) {
    if (tree.empty) throw new ReadingError("it is not one formula");
    if (tree.name)
      return { values: points.map((size) => fraction(size(tree.name))), bits: LETTER_BITS, lettered: true };
    if (tree.number)
      return { values: points.map(() => tree.number), bits: book.fractions.bits(tree.number), lettered: false };
    if (tree.operand) {
      const inner = build(tree.operand, points);
      return tree.sign === "+"
        ? inner
        : { ...inner, values: inner.values.map((value) => subtract(fraction(0n), value)) };
    }
    const [left, right] = [build(tree.left, points), build(tree.right, points)];
    const raises = tree.sign === "**";
    const exponent = raises && !right.lettered ? wholeNumber(right.values[0]) : null;
    const size = exponent === null ? null : exponent < 0n ? -exponent : exponent;
    const bits =
      size === null ? left.bits + right.bits : size > BigInt(LARGEST_BITS) ? Infinity : left.bits * Number(size);
    if (bits > LARGEST_BITS) throw new ReadingError("its value would be too large");
    if (raises && exponent === null) throw new ReadingError("an exponent has to be a whole number");
    const divisors = tree.sign === "/" ? right.values : raises && exponent < 0n ? left.values : [];
    if (divisors.length && divisors.every(isZero)) throw new ReadingError("it divides by zero");
    const operate = raises ? (base) => power(base, exponent) : OPERATIONS[tree.sign];
    return {
      values: left.values.map((value, i) => operate(value, right.values[i])),
      bits,
      lettered: left.lettered || right.lettered,
    };
  }

  // Large sizes, at which only equal formulas have equal values; a name has the same size at each call.
  const largeSize = (salt) => (name) => {
    let hash = 2166136261;
    for (const character of name + salt) hash = Math.imul(hash ^ character.codePointAt(0), 16777619);
    return BigInt(100_000_000 + ((hash >>> 0) % 900_000_000));
  };
  const LARGE_POINTS = [largeSize("a"), largeSize("b")];

  const lettersOf = (pieces) => [...new Set(pieces.map((piece) => piece.name).filter(Boolean))];

  // What a text stands for: its values at large sizes, its value at others, its text, letters and decimal places.
  function read(text, known = []) {
    try {
      if ([...text].length > LONGEST_TEXT) throw new ReadingError(`it has more than ${LONGEST_TEXT} characters`);
      return formula(text, known);
    } catch (error) {
      if (!(error instanceof ReadingError)) throw error;
      throw new ReadingError(
        `I cannot read ${quoted(text)}: ${error.message}. Write it like 2*B*D*K or 2BDK, or as a number`,
      );
    }
  }

  function formula(text, known) {
    const [bare, unitPower] = book.plain(text);
    const [pieces, shown] = book.rewrite(bare, known);
    const tree = parse(pieces);
    const letters = lettersOf(pieces);
    const unit = fraction(10n ** BigInt(unitPower));
    const values = (points) => build(tree, points).values.map((value) => multiply(value, unit));
    return {
      values: values(LARGE_POINTS),
      at: (sizes) => values([(name) => BigInt(sizes[name])])[0],
      text: unitPower ? `(${shown})*10^${unitPower}` : shown,
      letters,
      decimals: letters.length ? null : book.decimalPlaces(bare, unitPower),
    };
  }

  Object.assign(book, { read, formula, largeSizes: LARGE_POINTS });
})();
