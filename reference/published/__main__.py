"""Count every published model as the library builds it, and record what it has and runs, for `make published`."""

import json
import platform
import sys
import time
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from flopbook.files import write_whole
from flopbook.published import named, names
from flopbook.published.in_library.witness import witness

DATA = Path(__file__).parents[1] / "data" / "published.json"
#: Sizes of the step that is counted, of the letters that a model leaves open; CLIP knows 77 positions.
SIZES = dict(B=2, T=75, U=40, Ih=224, Iw=224)


def main() -> None:
    """Record all models; the file is written at the end, in one move."""
    models = {}
    for number, name in enumerate(names(), 1):
        print(f"[{number}/{len(names())}] {name} ... ", end="", flush=True)
        begun = time.monotonic()
        model = named(name)
        sizes = {letter: SIZES[letter] for letter in model.network.free}
        try:
            counted = witness(model.config, **sizes)
        except Exception as error:  # whatever the library says
            sys.exit(f"the library does not run it: {error}\nNothing was recorded.")
        models[name] = {"sizes": sizes, **counted._asdict()}
        print(f"{time.monotonic() - begun:.0f} s", flush=True)
    write_whole(DATA, json.dumps({**circumstances(), "models": models}, indent=1) + "\n")
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


if __name__ == "__main__":
    main()
