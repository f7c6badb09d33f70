// node live.mjs ENGINE < pages: runs live cells in the browser's Python, without a browser, and writes what they tell.
import { readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { pathToFileURL } from "node:url";

const [engine] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${engine}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: engine });
for (const name of ["sympy.zip", "flopbook.zip"])
  python.FS.writeFile(`/lib/${name}`, new Uint8Array(readFileSync(`${engine}/${name}`)));
python.globals.set("pages", await text(process.stdin)); // more than a pipe holds at once
process.stdout.write(
  python.runPython(`
    import json, sys

    sys.path[:0] = ["/lib/sympy.zip", "/lib/flopbook.zip"]
    from flopsite.live.session import Session

    answers = {}
    for name, page in json.loads(pages).items():
        told = []
        session = Session(lambda kind, content: told.append([kind, content]))
        for cell in page["wanted"]:
            told.clear()
            session.run(page["cells"], cell)
            answers[f"{name} {cell}"] = list(told)
    json.dumps(answers)
  `),
);
