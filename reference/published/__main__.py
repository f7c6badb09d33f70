"""Count every published model as the library builds it, and record what it has and runs, for `make published`."""

import json
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sympy import expand

from flopbook.files import write_whole
from flopbook.published import named, names
from flopbook.published.in_letters import LETTERED, formulas
from flopbook.published.in_library.witness import witness

DATA = Path(__file__).parents[1] / "data" / "published.json"
#: Sizes of the step that is counted, of the letters that a model leaves open: more tokens than a chunk of a scan has.
SIZES = dict(B=2, T=300, U=40, Ih=224, Iw=224)


def main() -> None:
    """Record all models; the file is written at the end, in one move."""
    models = {name: _recorded(name, lambda name=name: counted(name)) for name in names()}
    traced = {each: _recorded(f"{each}, on letters", lambda each=each: written(each)) for each in LETTERED}
    write_whole(DATA, json.dumps({**circumstances(), "models": models, "traced": traced}, indent=1) + "\n")
    print(f"{len(models)} models are in {DATA.relative_to(Path.cwd())}")


def circumstances() -> dict[str, object]:
    """Say when and with what the models were counted."""
    return {
        "schema": 1,
        "recorded": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        **{package: version(package) for package in ("torch", "transformers", "diffusers")},
        "units": "trained numbers, and FLOPs of the products of a forward and of a backward pass, dense",
    }


def counted(name: str) -> dict[str, Any]:
    """Count a step of a model, of no more tokens than it knows places."""
    model = named(name)
    known = {**SIZES, "T": min(SIZES["T"], model.network.sizes.get("P", SIZES["T"]))}
    sizes = {letter: known[letter] for letter in model.network.free}
    return {"sizes": sizes, **witness(model.config, **sizes)._asdict()}


def written(architecture: str) -> dict[str, Any]:
    """Let an architecture write its formulas."""
    traced = formulas(architecture)
    found = {"forward": str(expand(traced.forward)), "backward": str(expand(traced.backward))}
    return found | {"where": [str(condition) for condition in traced.conditions]}


def _recorded(name: str, record: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """Return what was found, or why nothing was; say what is under way."""
    with _said(name):
        try:
            return record()
        except Exception as error:  # whatever the library says
            print(f"fails: {error} ", end="")
            return {"fails": f"{type(error).__name__}: {error}"}


@contextmanager
def _said(name: str) -> Iterator[None]:
    print(f"{name} ... ", end="", flush=True)
    begun = time.monotonic()
    yield
    print(f"{time.monotonic() - begun:.0f} s", flush=True)


if __name__ == "__main__":
    main()
