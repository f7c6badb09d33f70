// Functions that the printed formulas of calculators call, and functions that write their exact results.
const exact = (() => {
  const { fraction, reduced, absolute, floored: floor, nearest } = globalThis.flopbook.fractions;
  const ceiling = (above, below) => -floor(-above, below);
  const max = (...values) => values.reduce((a, b) => (a > b ? a : b));
  const min = (...values) => values.reduce((a, b) => (a < b ? a : b));

  // The fraction that a printed formula returns as a pair, in lowest terms; null where the denominator is zero.
  const value = ([above, below]) => (below ? reduced(fraction(above, below)) : null);

  const scaled = ({ above, below }, power) =>
    nearest(power < 0 ? fraction(above * 10n ** BigInt(-power), below) : fraction(above, below * 10n ** BigInt(power)));

  // The first three digits of a positive value as a whole number, and the power of ten that they are multiplied with.
  const threeDigits = (value) => {
    let power = String(value.above).length - String(value.below).length - 3;
    while (scaled(value, power) >= 1000n) power += 1;
    return [scaled(value, power), power];
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

  // The unit of a time that one can feel, and its seconds; two years or days at least.
  const hour = 3600n;
  const times = [["years", 8766n * hour, 2n], ["days", 24n * hour, 2n], ["hours", hour, 1n], ["s", 1n, 0n]];
  const felt = ({ above, below }) => {
    const [unit, length] = times.find(([, length, least]) => above >= length * least * below) ?? times.at(-1);
    return number(value([above, below * length]), unit);
  };

  // A time in the unit that one can feel, the share of a device's memory in percent, other values as they are.
  const short = (given, unit) => {
    const { above, below } = given;
    if (unit === "of memory") {
      return above > below ? `${number(given, "")} × too much` : `${number(value([above * 100n, below]), "")}% of it`;
    }
    if (unit === "s") return felt(given);
    if (unit === "hours") return felt({ above: above * hour, below });
    const isBrief = unit === "device-hours" && above > 0n && above < below;
    return isBrief ? number(value([above * hour, below]), "device-seconds") : number(given, unit);
  };

  // As flopbook.units: three digits with an SI prefix; without a prefix where none fits, where the unit takes none, and for
  // many seconds, and then with a power of ten if the value is far from 1.
  const number = ({ above, below }, unit) => {
    const positive = fraction(absolute(above), below);
    const sign = above < 0n ? "−" : "";
    if (below === 1n && positive.above < 1000n) return `${sign}${positive.above} ${unit}`.trim();
    const [digits, power] = threeDigits(positive);
    const si = Math.floor((power + 2) / 3);
    const isPrefixed = withPrefix.has(unit) && si in prefixes && (unit !== "s" || si <= 0);
    if (isPrefixed) return `${sign}${decimal(digits, power - 3 * si)} ${prefixes[si]}${unit}`;
    const isFar = power < -6 || power >= 4;
    const plain = isFar ? scientific(digits, power) : power < 0 ? decimal(digits, power) : thousands(nearest(positive));
    return `${sign}${plain} ${unit}`.trim();
  };

  // Every digit of a whole number, or a short fraction; nothing for a long fraction.
  const long = ({ above, below }) => {
    if (below >= 1000000n) return "";
    return (above < 0n ? "−" : "") + thousands(absolute(above)) + (below > 1n ? `/${thousands(below)}` : "");
  };

  return { floor, ceiling, max, min, value, short, long, thousands };
})();
