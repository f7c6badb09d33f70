// Colours Python code while it is typed, with the classes of Pygments.
(() => {
  const live = ((globalThis.flopbook ??= {}).live ??= {});

  const STATEMENTS =
    "as assert break class continue def del elif else except finally for global if lambda pass raise return try " +
    "while with yield";
  const words = (text) => `\\b(?:${text.replaceAll(" ", "|")})\\b`;
  const TOKENS = new RegExp(
    [
      String.raw`(?<c1>#.*)`,
      String.raw`(?<s2>(?:\b[rbfuRBFU]{1,2})?(?:"""[^]*?"""|'''[^]*?'''|"(?:\\.|[^"\\\n])*"?|'(?:\\.|[^'\\\n])*'?))`,
      String.raw`(?<mi>\b\d[\w.]*)`,
      `(?<kc>${words("True False None")})`,
      `(?<ow>${words("and in is not or")})`,
      `(?<kn>${words("from import")})`,
      `(?<k>${words(STATEMENTS)})`,
      String.raw`(?<o>[-+*/%=<>!&|^~@]+)`,
    ].join("|"),
    "g",
  );

  // The content of a <pre>: text, and a span for each token that has a colour.
  live.coloured = (code) => {
    const parts = [];
    let end = 0;
    for (const match of code.matchAll(TOKENS)) {
      const kind = Object.keys(match.groups).find((name) => match.groups[name] !== undefined);
      const token = document.createElement("span");
      token.className = kind;
      token.textContent = match[0];
      parts.push(code.slice(end, match.index), token);
      end = match.index + match[0].length;
    }
    return [...parts, code.slice(end), "\n"];
  };
})();
