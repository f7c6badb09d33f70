// Called by engine.py: node compile.mjs PYODIDE SCRIPT SOURCES FOLDER runs the script in the browser's own Python.
import { readFileSync, writeFileSync } from "node:fs";
import { pathToFileURL } from "node:url";

const [pyodide, script, sources, folder] = process.argv.slice(2);
const { loadPyodide } = await import(pathToFileURL(`${pyodide}/pyodide.mjs`));
const python = await loadPyodide({ indexURL: pyodide, env: { PYTHONHASHSEED: "0" } });
python.FS.writeFile("/sources.zip", new Uint8Array(readFileSync(sources)));
python.runPython(readFileSync(script, "utf-8"));
for (const name of ["sympy.zip", "python_stdlib.zip"]) writeFileSync(`${folder}/${name}`, python.FS.readFile(`/${name}`));
