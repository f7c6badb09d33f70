"""Compile SymPy and the standard library in the browser's Python, so that Python starts there in 2 s, not in 11.

Modules that a page's session loads are compiled. The others, which few cells need, stay source, at half the size.
"""

import importlib.util
import marshal
import sys
import zipfile

SOURCES = "/sources.zip"
_LOADED = ["sympy", "pprint", "symtable"]  # by `flopsite.live.session`, beside what Python itself loads
_UNCHECKED_HASH = 1  # the kind of .pyc that is valid without a look at its source


def compiled(text: bytes, name: str) -> bytes:
    """Return the content of a .pyc file."""
    code = compile(text, name, "exec", dont_inherit=True)
    head = importlib.util.MAGIC_NUMBER + _UNCHECKED_HASH.to_bytes(4, "little") + importlib.util.source_hash(text)
    return head + marshal.dumps(code)


def replace_loaded(archive: str, target: str) -> None:
    """Write an archive again, with the .pyc of each module that is loaded from it in place of its source."""
    loaded = {getattr(module, "__file__", None) for module in list(sys.modules.values())}
    with (
        zipfile.ZipFile(archive) as sources,
        zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as made,
    ):
        for name in sources.namelist():
            text = sources.read(name)
            is_loaded = f"{archive}/{name}" in loaded
            kept, content = (f"{name}c", compiled(text, name)) if is_loaded else (name, text)
            made.writestr(zipfile.ZipInfo(kept), content, zipfile.ZIP_DEFLATED)


def main() -> None:
    """Write both archives."""
    sys.path.insert(0, SOURCES)
    for module in _LOADED:
        importlib.import_module(module)
    replace_loaded(SOURCES, "/sympy.zip")
    replace_loaded(zipfile.__loader__.archive, "/python_stdlib.zip")  # type: ignore[union-attr]  # of the browser


if __name__ == "__main__":
    main()
