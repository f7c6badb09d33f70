"""Write files whole or not at all."""

import os
from pathlib import Path


def write_whole(path: str | os.PathLike, text: str) -> Path:
    """Write a file whole, or leave it as it was.

    Parameters
    ----------
    path : str or path
        In a folder that exists.
    text : str
        What to write.

    Returns
    -------
    Path
        Where it is.

    Raises
    ------
    OSError
        If the folder does not exist, or cannot be written to; quotes the path.
    """
    target = Path(path)
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{str(path)!r}: there is no folder {str(target.parent)!r}; make it first")
    if target.is_dir():
        raise IsADirectoryError(f"{str(path)!r} is a folder: name a file in it")
    beside = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        beside.write_text(text, encoding="utf-8")
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    return target
