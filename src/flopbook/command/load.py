"""Find what a command line names, such as ``train:step``, and call it."""

import sys
import traceback
from collections.abc import Callable
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from flopbook.checks import quoted

_PACKAGE = Path(__file__).parents[1]


class MistakeError(Exception):
    """Says in one sentence what is wrong with a command line, or with the code that it names."""


def load(text: str) -> Any:
    """Import what ``package.module:name`` names, from the current folder or from what is installed.

    Parameters
    ----------
    text : str
        The module, a colon, and the name in it; dots lead to attributes, such as ``train:Trainer.step``.

    Raises
    ------
    MistakeError
        If the text is of another form, or there is no such module or name.

    Examples
    --------
    >>> load("math:sqrt")(4)
    2.0
    """
    module, colon, name = text.partition(":")
    if not (colon and module and name):
        raise MistakeError(f"{quoted(text)} is not MODULE:NAME: write it like train:step")
    if module.endswith(".py") or "/" in module:
        dotted = module.removesuffix(".py").removeprefix("./").replace("/", ".")
        raise MistakeError(f"{quoted(text)} names a file: write {dotted}:{name}, from the folder that it starts in")
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    found = call(f"import {module}", lambda: _imported(module))
    for part in name.split("."):
        if not hasattr(found, part):
            close = get_close_matches(part, [each for each in dir(found) if not each.startswith("_")], n=1)
            hint = f"did you mean {close[0]}?" if close else "give a name that is defined there"
            raise MistakeError(f"{quoted(text)}: {getattr(found, '__name__', found)} has no {quoted(part)}: {hint}")
        found = getattr(found, part)
    return found


def _imported(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            raise MistakeError(f"there is no module {quoted(module)} in {Path.cwd()}, and none is installed") from None
        raise


def call(name: str, function: Callable[[], Any]) -> Any:
    """Call the reader's code; tell an error in one sentence, with the reader's line that led to it.

    Raises
    ------
    MistakeError
        If the code raises.
    """
    try:
        return function()
    except MistakeError:
        raise
    except Exception as error:
        said = " ".join(str(error).split())
        frames = traceback.extract_tb(error.__traceback__)
        if _PACKAGE in Path(frames[-1].filename).parents:  # what flopbook refuses, it explains
            raise MistakeError(f"{name}: {said}") from error
        own = [frame for frame in frames if Path.cwd() in Path(frame.filename).parents]
        where = own[-1] if own else frames[-1]
        line = f"{Path(where.filename).name}, line {where.lineno}"
        raise MistakeError(f"{name} raised {type(error).__name__}: {said} ({line})") from error
