// Called by katex.py: reads {latex, display, letters} line by line, answers {html} or {error}.
const katex = require(process.argv[2] + "/katex.js");
const lines = require("readline").createInterface({ input: process.stdin });
const MARK = "\\htmlData{letter=1}{}";
const options = { strict: false, trust: (context) => context.command === "\\htmlData" };

// The places of the letters of a parsed formula, without those in a power, such as the T of a transpose, or in another font.
function* places(node) {
  if (!node || typeof node !== "object" || ["font", "text", "operatorname"].includes(node.type)) return;
  if (node.type === "mathord") yield node.loc.start;
  const isPower = node.type === "supsub" && node.base?.type !== "op";
  for (const [key, part] of Object.entries(node)) {
    if (key !== "loc" && !(isPower && key === "sup")) yield* places(part);
  }
}

// The formula with an empty mark before each letter. A run such as BDK is a product if the page knows all of its letters.
function marked(latex, letters) {
  const isLetter = (at) => {
    const [before] = latex.slice(0, at).match(/[A-Za-z]*$/);
    const [run] = latex.slice(at).match(/^[A-Za-z]*/);
    return run && [...(before + run)].every((letter) => letters.includes(letter));
  };
  const found = [...new Set(places(katex.__parse(latex, options)))].filter(isLetter).sort((a, b) => b - a);
  return found.reduce((text, at) => {
    const letter = /[_^]$/.test(text.slice(0, at)) ? `{${MARK}${text[at]}}` : MARK + text[at];
    return text.slice(0, at) + letter + text.slice(at + 1);
  }, latex);
}

// The symbol's first character as a letter, since KaTeX joins neighbouring characters of one style into a symbol.
function split(symbol) {
  const copy = (changes) => Object.assign(Object.create(Object.getPrototypeOf(symbol)), symbol, changes);
  const classes = [...symbol.classes, "letter"];
  if (symbol.text.length === 1) return [copy({ classes })];
  return [copy({ classes, text: symbol.text[0], italic: 0 }), copy({ text: symbol.text.slice(1) })];
}

// Takes the marks out of KaTeX's result, and gives the symbol after each mark a class.
function unmark(node, state = { marked: false }) {
  node.children = node.children?.flatMap((child) => {
    if (child.attributes?.["data-letter"]) {
      state.marked = true;
      return [];
    }
    unmark(child, state);
    if (!child.text || !child.classes || !state.marked) return [child];
    state.marked = false;
    return split(child);
  });
  return node;
}

// MathML of the plain formula, without its LaTeX source, and HTML with the letters marked.
function set(latex, display, letters) {
  const render = (text) => katex.__renderToDomTree(text, { ...options, displayMode: display });
  const parts = (tree) => tree.toMarkup().split('<span class="katex-html"');
  const plain = parts(render(latex));
  let html = plain[1];
  try {
    html = parts(unmark(render(marked(latex, letters))))[1];
  } catch {
    // A letter is a command's argument without braces: the formula is set without marks.
  }
  return [plain[0].replace(/<annotation.*?<\/annotation>/s, ""), html].join('<span class="katex-html"');
}

lines.on("line", (line) => {
  const { latex, display, letters } = JSON.parse(line);
  let answer;
  try {
    answer = { html: set(latex, display, letters) };
  } catch (error) {
    answer = { error: error.message };
  }
  process.stdout.write(JSON.stringify(answer) + "\n");
});
