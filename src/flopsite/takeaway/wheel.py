"""The package, ready for pip: who takes a notebook away needs no checkout to run it."""

import base64
import hashlib
import zipfile
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx

_TAG = "Wheel-Version: 1.0\nGenerator: flopsite\nRoot-Is-Purelib: true\nTag: py3-none-any\n"


def name() -> str:
    """The wheel's file name."""
    return f"flopbook-{metadata.version('flopbook')}-py3-none-any.whl"


def write_wheel(src: Path, target: Path) -> None:
    """Pack the package as it lies in `src`; the same files make the same bytes."""
    information = f"flopbook-{metadata.version('flopbook')}.dist-info"
    paths = sorted(path for pattern in ("*.py", "py.typed") for path in (src / "flopbook").rglob(pattern))
    files = {path.relative_to(src).as_posix(): path.read_bytes() for path in paths}
    for name in ("METADATA", "licenses/LICENSE"):
        files[f"{information}/{name}"] = (metadata.distribution("flopbook").read_text(name) or "").encode()
    files[f"{information}/WHEEL"] = _TAG.encode()
    record = [f"{path},sha256={_digest(content)},{len(content)}" for path, content in files.items()]
    files[f"{information}/RECORD"] = "\n".join([*record, f"{information}/RECORD,,", ""]).encode()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as wheel:
        for path, content in files.items():
            wheel.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)


def _digest(content: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()


def _offer(app: Sphinx, exception: Exception | None) -> None:
    if not exception:
        write_wheel(Path(app.srcdir) / "src", Path(app.outdir) / name())


def setup(app: Sphinx) -> None:
    """Write it with every build."""
    app.connect("build-finished", _offer)
