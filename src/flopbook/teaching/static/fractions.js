// Exact fractions of BigInts for exercises and calculators, with a positive denominator; they are reduced when shown.
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

  const absolute = (integer) => (integer < 0n ? -integer : integer);
  const divisor = (a, b) => (b ? divisor(b, a % b) : absolute(a));

  function reduced({ above, below }) {
    const common = divisor(above, below);
    return fraction(above / common, below / common);
  }

  const bitLength = (integer) => (integer ? absolute(integer).toString(2).length : 0);

  // Bits of numerator and denominator.
  function bits(a) {
    const { above, below } = reduced(a);
    return bitLength(above) + bitLength(below);
  }

  // The whole number that a fraction is, or null.
  const wholeNumber = ({ above, below }) => (above % below === 0n ? above / below : null);

  // The largest whole number that is not above a quotient, whatever the signs.
  function floored(above, below) {
    const quotient = above / below;
    return quotient * below !== above && above < 0n !== below < 0n ? quotient - 1n : quotient;
  }

  // The whole number nearest to a fraction; a half goes to the even neighbour, as in Python.
  function nearest({ above, below }) {
    const whole = floored(above, below);
    const twice = 2n * (above - whole * below);
    return twice > below || (twice === below && whole % 2n !== 0n) ? whole + 1n : whole;
  }

  // A fraction rounded to a number of decimal places; negative places are tens, hundreds and so on.
  function rounded(a, places) {
    const scale = 10n ** BigInt(Math.abs(places));
    const whole = nearest(places < 0 ? divide(a, fraction(scale)) : multiply(a, fraction(scale)));
    return places < 0 ? fraction(whole * scale) : fraction(whole, scale);
  }

  function text(a) {
    const { above, below } = reduced(a);
    return below === 1n ? `${above}` : `${above}/${below}`;
  }

  // A decimal where one with 15 digits is exact, else a fraction.
  function decimal(a) {
    const { above, below } = reduced(a);
    let places = 0;
    while (places < 400 && 10n ** BigInt(places) % below) places += 1;
    const digits = (absolute(above) * 10n ** BigInt(places)) / below;
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
    absolute,
    divisor,
    reduced,
    bits,
    wholeNumber,
    floored,
    nearest,
    rounded,
    text,
    decimal,
  };
})();
