// Sizes: the stops of a slider, and whole numbers as people type them.
const sizes = (() => {
  // Every number of a short range; of a long range its ends, the powers of two, and the numbers halfway between these.
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

  // The stops, and more of them up to a size that lies beyond.
  const reaching = (all, size) => {
    if (size < all[0]) return [size, ...all];
    return size > all.at(-1) ? [...all, ...stops(all.at(-1), size).slice(1)] : all;
  };

  const nearest = (all, size) => {
    const above = all.findIndex((stop) => stop >= size);
    if (above < 0) return all.length - 1;
    return above > 0 && size - all[above - 1] < all[above] - size ? above - 1 : above;
  };

  const { fraction, multiply, wholeNumber } = globalThis.flopbook.fractions;
  const powers = { M: 6, G: 9, B: 9, T: 12 };
  const longest = 30; // digits

  // A number as exercises read it, such as 1,000,000, 2^10 or 64*2, and also 80G, 7B or 1.5 t; else null.
  const number = (text) => {
    const [, digits, letter] = /^(.*?)(?: ?([MGBT]))?$/i.exec(text.trim());
    try {
      const read = globalThis.flopbook.read(digits.replace(/(?<=[\d.])E/g, "e"));
      const unit = fraction(10n ** BigInt(powers[letter?.toUpperCase()] ?? 0));
      return read.letters.length ? null : multiply(read.values[0], unit);
    } catch (error) {
      if (error instanceof globalThis.flopbook.ReadingError) return null;
      throw error;
    }
  };

  // The whole number that a text means, or a text that says what is wrong.
  const read = (text) => {
    if (/\dk$/i.test(text.trim())) return `“${text}” is not clear, 1000 or 1024 times: write all digits`;
    if (/^\s*\d{1,3}(\.000)+\s*$/.test(text)) return `“${text}” is not clear: write ${parseInt(text)} or ${parseInt(text)},000`;
    const value = number(text);
    if (!value) return `“${text}” is not a size: write a whole number, such as 4096, 1e6 or 7B`;
    const size = wholeNumber(value);
    if (size === null) return `“${text}” is not a whole number: write one, such as 4096`;
    if (String(size).length > longest) return `“${text}” is too long: write up to ${longest} digits`;
    return size > 0n ? size : `“${text}” is not a size: write at least 1`;
  };

  return { stops, reaching, nearest, read };
})();
