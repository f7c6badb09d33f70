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

  const powers = { M: 6, B: 9, T: 12 };

  // A BigInt of 1,000,000, 1e6, 1.5e9 or 7B, or a text that says what is wrong.
  const read = (text) => {
    if (/\dk$/i.test(text.trim())) return `“${text}” is not clear, 1000 or 1024 times: write all digits`;
    const grouped = /^[\d\s,_]+$/.test(text) ? text.replace(/(?<=\d)[\s,_](?=\d)/g, "") : text;
    const parts = /^(\d+)(?:\.(\d*?)0*)?(?:e\+?(\d+)| ?([MBT]))?$/i.exec(grouped.trim());
    if (!parts) return `“${text}” is no size: write a whole number, such as 4096, 1e6 or 7B`;
    const [, whole, decimals = "", power = 0, letter] = parts;
    const zeros = (letter ? powers[letter.toUpperCase()] : Number(power)) - decimals.length;
    if (zeros < 0) return `“${text}” is no whole number: write one, such as 4096`;
    if (whole.length + decimals.length + zeros > 30) return `“${text}” is too long: write up to 30 digits`;
    return BigInt(whole + decimals + "0".repeat(zeros)) || `“${text}” is no size: write at least 1`;
  };

  return { stops, nearest, read };
})();
