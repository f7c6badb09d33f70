// Exact fractions of BigInts, not reduced until they are shown; the denominator is positive.
(() => {
  const fraction = (above, below = 1n) => (below < 0n ? { above: -above, below: -below } : { above, below });
  const add = (a, b) => fraction(a.above * b.below + b.above * a.below, a.below * b.below);
  const subtract = (a, b) => fraction(a.above * b.below - b.above * a.below, a.below * b.below);
  const multiply = (a, b) => fraction(a.above * b.above, a.below * b.below);
  const divide = (a, b) => fraction(a.above * b.below, a.below * b.above);
  const isZero = (a) => a.above === 0n;
  const same = (a, b) => isZero(subtract(a, b));

  function power(a, exponent) {
    const raised = exponent < 0n ? divide(fraction(1n), a) : a;
    const size = exponent < 0n ? -exponent : exponent;
    return fraction(raised.above ** size, raised.below ** size);
  }

  function reduced({ above, below }) {
    let [a, b] = [above < 0n ? -above : above, below];
    while (b) [a, b] = [b, a % b];
    return fraction(above / a, below / a);
  }

  const bitLength = (integer) => (integer ? (integer < 0n ? -integer : integer).toString(2).length : 0);

  // Bits of numerator and denominator.
  function bits(a) {
    const { above, below } = reduced(a);
    return bitLength(above) + bitLength(below);
  }

  // The whole number that a fraction is, or null.
  const wholeNumber = ({ above, below }) => (above % below === 0n ? above / below : null);

  // Rounded to so many decimal places (of tens, where negative); halves go to the even neighbour.
  function rounded(a, places) {
    const scale = 10n ** BigInt(Math.abs(places));
    const { above, below } = places < 0 ? divide(a, fraction(scale)) : multiply(a, fraction(scale));
    let whole = above / below - (above % below < 0n ? 1n : 0n);
    const twice = 2n * (above - whole * below);
    if (twice > below || (twice === below && whole % 2n !== 0n)) whole += 1n;
    return places < 0 ? fraction(whole * scale) : fraction(whole, scale);
  }

  function text(a) {
    const { above, below } = reduced(a);
    return below === 1n ? `${above}` : `${above}/${below}`;
  }

  // As a decimal where that is exact with 15 digits, else as a fraction.
  function decimal(a) {
    const { above, below } = reduced(a);
    let places = 0;
    while (places < 400 && 10n ** BigInt(places) % below) places += 1;
    const digits = ((above < 0n ? -above : above) * 10n ** BigInt(places)) / below;
    if (places === 0 || 10n ** BigInt(places) % below || digits.toString().length > 15) return text(a);
    const padded = digits.toString().padStart(places + 1, "0");
    return `${above < 0n ? "-" : ""}${padded.slice(0, -places)}.${padded.slice(-places)}`;
  }

  const book = (globalThis.flopbook ??= {});
  book.fractions = {
    fraction,
    add,
    subtract,
    multiply,
    divide,
    power,
    isZero,
    same,
    bits,
    wholeNumber,
    rounded,
    text,
    decimal,
  };
})();
