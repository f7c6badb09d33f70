// Exact arithmetic and the writing of its results: a value is a numerator and a denominator, both BigInts.
const exact = (() => {
  const floor = (n, d) => {
    const quotient = n / d;
    return quotient * d !== n && n < 0n !== d < 0n ? quotient - 1n : quotient;
  };
  const ceiling = (n, d) => -floor(-n, d);
  const max = (...values) => values.reduce((a, b) => (a > b ? a : b));
  const min = (...values) => values.reduce((a, b) => (a < b ? a : b));
  const absolute = (n) => (n < 0n ? -n : n);
  const divisor = (a, b) => (b ? divisor(b, a % b) : absolute(a));

  // In lowest terms, with a positive denominator; null where the denominator is zero.
  const value = ([n, d]) => {
    if (!d) return null;
    const common = divisor(n, d) * (d < 0n ? -1n : 1n);
    return [n / common, d / common];
  };

  // Half to even, as Python rounds.
  const rounded = (n, d) => {
    const quotient = floor(n, d);
    const twice = 2n * (n - quotient * d);
    return twice > d || (twice === d && quotient % 2n !== 0n) ? quotient + 1n : quotient;
  };
  const scaled = ([n, d], power) => (power < 0 ? rounded(n * 10n ** BigInt(-power), d) : rounded(n, d * 10n ** BigInt(power)));

  // The first three digits of a positive value as a whole number, and the power of ten that they are multiplied with.
  const threeDigits = ([n, d]) => {
    let power = String(n).length - String(d).length - 3;
    while (scaled([n, d], power) >= 1000n) power += 1;
    return [scaled([n, d], power), power];
  };

  const thousands = (digits) => String(digits).replace(/\B(?=(\d{3})+$)/g, ",");
  const decimal = (digits, power) => {
    if (power >= 0) return thousands(String(digits) + "0".repeat(power));
    const padded = String(digits).padStart(1 - power, "0");
    return `${thousands(padded.slice(0, power))}.${padded.slice(power)}`;
  };

  const scientific = (digits, power) => `${decimal(digits, -2)}e${power + 2}`;

  const prefixes = { "-4": "p", "-3": "n", "-2": "µ", "-1": "m", 0: "", 1: "k", 2: "M", 3: "G", 4: "T", 5: "P", 6: "E", 7: "Z", 8: "Y" };
  const withPrefix = new Set(["FLOPs", "FLOP/s", "B", "s"]);

  // As flopbook.units: three digits with an SI prefix, or without one where there is none, where the unit takes none, and for
  // many seconds; then with a power of ten if they are far from 1. Less than an hour is given in seconds.
  const short = ([n, d], unit) => {
    if (unit === "hours" && n > 0n && n < d) return short(value([n * 3600n, d]), "s");
    const positive = [absolute(n), d];
    const sign = n < 0n ? "−" : "";
    if (d === 1n && positive[0] < 1000n) return `${sign}${positive[0]} ${unit}`.trim();
    const [digits, power] = threeDigits(positive);
    const si = Math.floor((power + 2) / 3);
    const isPrefixed = withPrefix.has(unit) && si in prefixes && (unit !== "s" || si <= 0);
    if (isPrefixed) return `${sign}${decimal(digits, power - 3 * si)} ${prefixes[si]}${unit}`;
    const isFar = power < -6 || power >= 4;
    const plain = isFar ? scientific(digits, power) : power < 0 ? decimal(digits, power) : thousands(rounded(...positive));
    return `${sign}${plain} ${unit}`.trim();
  };

  // To the last digit; what is no whole number as a fraction, unless that is long.
  const long = ([n, d]) => (d < 1000000n ? (n < 0n ? "−" : "") + thousands(absolute(n)) + (d > 1n ? `/${thousands(d)}` : "") : "");

  return { floor, ceiling, max, min, value, short, long, thousands, divisor };
})();
