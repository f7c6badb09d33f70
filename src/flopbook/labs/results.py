"""Keep results in a folder, with a history that grows."""

import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flopbook.files import write_whole

_HISTORY = "history.jsonl"


class Results:
    """Keeps results in a folder.

    Where the folder cannot be written to, `keep` says so and raises no error,
    so that a measurement goes on.

    Parameters
    ----------
    folder : str or path
        The folder; made where it does not exist.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> with TemporaryDirectory() as folder:
    ...     results = Results(folder)
    ...     sentence = results.keep("answer.txt", "42")
    ...     history = results.append({"answer": 42})
    >>> sentence.startswith("answer.txt is in "), history[-1]["answer"]
    (True, 42)
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)

    def keep(self, name: str, text: str) -> str:
        """Write a file, whole or not at all.

        Parameters
        ----------
        name, text : str
            The file's name and content.

        Returns
        -------
        str
            A sentence that says where the file is, or why it could not be
            written.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            write_whole(self.folder / name, text)
        except OSError as error:
            return f"{name} is not kept: {error.strerror or error}. Choose another folder than {str(self.folder)!r}."
        return f"{name} is in {str(self.folder)!r}."

    def append(self, record: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Add a record to the history, with the time in UTC.

        Parameters
        ----------
        record : dict
            Values that JSON can hold.

        Returns
        -------
        list of dict
            All records, oldest first. The new record is the last, even where
            the folder cannot be written to, and the only one where the history
            cannot be read. Lines that are not a record are left out.
        """
        time = datetime.now(UTC).isoformat(timespec="seconds")
        new = json.dumps({"time": time, **record})
        try:
            lines = [*self._lines(), new]
        except OSError:  # a history that cannot be read must not be replaced
            return [json.loads(new)]
        self.keep(_HISTORY, "\n".join(lines) + "\n")
        return [json.loads(line) for line in lines]

    def _lines(self) -> list[str]:
        history = self.folder / _HISTORY
        text = history.read_text(encoding="utf-8", errors="replace") if history.exists() else ""
        return [line for line in text.splitlines() if _is_record(line)]


def _is_record(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
