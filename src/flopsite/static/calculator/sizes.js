// Sizes: the stops of a slider, and whole numbers as people type them.
const sizes = (() => {
  // Every number of a short range; of a long one the powers of two, what lies halfway between two of them, and the ends.
  const stops = (low, high) => {
    const all = [];
    if (high - low <= 100n) {
      for (let size = low; size <= high; size += 1n) all.push(size);
      return all;
    }
    for (let power = 1n; power <= high; power *= 2n) {
      for (const size of [power, (power * 3n) / 2n]) if (size > low && size < high && size !== all.at(-1)) all.push(size);
    }
    return [low, ...all, high];
  };

  const nearest = (all, size) => {
    const above = all.findIndex((stop) => stop >= size);
    if (above < 0) return all.length - 1;
    return above > 0 && size - all[above - 1] < all[above] - size ? above - 1 : above;
  };

  // A BigInt, or a text that says what is wrong.
  const read = (text) => {
    const digits = text.replace(/(?<=\d)[\s,_](?=\d)/g, "").trim();
    if (!/^\d+$/.test(digits)) return `“${text}” is no size: write a whole number, such as 4096`;
    if (digits.length > 30) return `“${text}” is too long: write up to 30 digits`;
    return BigInt(digits) || `“${text}” is no size: write at least 1`;
  };

  return { stops, nearest, read };
})();
