// Called by engine.py: node compile.mjs PYODIDE SCRIPT SOURCES TARGET runs the script in the browser's own Python.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [pyodide, script, sources, target] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: pyodide, env: { PYTHONHASHSEED: "0" } });
python.FS.writeFile("/sources.zip", new Uint8Array(readFileSync(sources)));
python.runPython(readFileSync(script, "utf-8"));
writeFileSync(target, python.FS.readFile("/compiled.zip"));
