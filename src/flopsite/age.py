"""Tell whether a file is newer than all that it is made of."""

from collections.abc import Iterable
from pathlib import Path


def is_current(made: Path, sources: Iterable[Path]) -> bool:
    """Compare the time of a file with those of files, and of folders with all that is in them."""
    files = [file for source in sources for file in [source, *source.rglob("*")] if "__pycache__" not in file.parts]
    return made.exists() and made.stat().st_mtime >= max(file.stat().st_mtime for file in files)
