"""Count one rank of many that train a Llama, beside the paper; or record several such ranks, for `make ranks`."""

import argparse
import json
import platform
import sys
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import in_torch  # beside this file
import on_paper

from flopbook.files import write_whole
from flopbook.published import named

DATA = Path(__file__).parents[1] / "data" / "ranks.json"
#: What is recorded: name, ranks, how many share each layer, and whether blocks are checkpointed.
RECORDED = (
    ("Llama 3 8B", 8, 1, False),
    ("Llama 3 8B", 8, 8, False),
    ("Llama 3 8B", 64, 8, False),
    ("Llama 3 8B", 64, 8, True),
    ("Llama 3 70B", 64, 8, False),
    ("Llama 3 70B", 1024, 8, False),
    ("Llama 3.1 405B", 1024, 8, False),
)


def main() -> None:
    """Compare the rank that is asked for, or record those of the book."""
    parser = argparse.ArgumentParser(prog="python reference/ranks", description=__doc__)
    parser.add_argument("--model", help="a published Llama, such as 'Llama 3 8B'; without it, all are recorded")
    parser.add_argument("--ranks", type=int, default=64, help="how many ranks there are (64)")
    parser.add_argument("--tensor", type=int, default=1, help="how many of them share each layer (1)")
    parser.add_argument("--rank", type=int, default=0, help="which one is counted (0)")
    parser.add_argument("--batch", type=int, default=1, help="sequences of the ranks that share a layer (1)")
    parser.add_argument("--tokens", type=int, default=8192, help="tokens of a sequence (8192)")
    parser.add_argument("--recompute", action="store_true", help="checkpoint each block")
    options = vars(parser.parse_args())
    if options["model"] is None:
        record()
    else:
        try:
            case = on_paper.Case(named(options.pop("model")).network, **options)
        except ValueError as error:
            sys.exit(str(error))
        sys.exit(compare(case))


def compare(case: on_paper.Case) -> str | None:
    """Print what is predicted and counted of a rank; return what to say where they differ."""
    print(f"{case}: ", end="", flush=True)
    counted = counted_alone(case)
    print(said(counted))
    predicted, found = on_paper.predict(case), on_paper.Rank(*counted[:3])
    print(on_paper.table(predicted, found))
    return None if predicted == found else "Predicted and counted differ."


def record() -> None:
    """Record all cases; the file is written at the end, in one move."""
    counts = []
    for number, (name, ranks, tensor, recompute) in enumerate(RECORDED, 1):
        case = on_paper.Case(named(name).network, ranks, tensor, recompute=recompute)
        print(f"[{number}/{len(RECORDED)}] {case} ... ", end="", flush=True)
        counted = counted_alone(case, ask_pytorch=True)
        print(said(counted), flush=True)
        asked = {"model": name, "ranks": ranks, "tensor": tensor, "recompute": recompute}
        counts.append({**asked, **as_json(case, counted)})
    write_whole(DATA, json.dumps({**circumstances(), "cases": counts}, indent=1) + "\n")
    print(f"{len(counts)} ranks are in {DATA.relative_to(Path.cwd())}")


def counted_alone(case: on_paper.Case, ask_pytorch: bool = False) -> in_torch.Counted:
    """Count in a process of its own, so that its memory is that of this count."""
    asked = {name: getattr(case, name) for name in ("ranks", "tensor", "rank", "recompute")}
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        return process.submit(in_torch.count, case.sizes, ask_pytorch=ask_pytorch, **asked).result()


def said(counted: in_torch.Counted) -> str:
    """Say how long a count took, and how much memory."""
    return f"{counted.seconds:.0f} s, {counted.memory / 1e6:.0f} MB"


def as_json(case: on_paper.Case, counted: in_torch.Counted) -> Mapping[str, Any]:
    """Write down what was counted."""
    return {
        **{name: getattr(case, name) for name in ("rank", "batch", "tokens")},
        **counted._asdict(),
        "sent": [[*key, *amounts] for key, amounts in sorted(counted.sent.items())],
        "seconds": round(counted.seconds, 1),
    }


def circumstances() -> dict[str, object]:
    """Say when and with what the ranks were counted."""
    return {
        "schema": 1,
        "recorded": datetime.now(UTC).date().isoformat(),
        "machine": platform.machine(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "units": "FLOPs of products; bytes after a step; of what is sent: collective, phase, ranks that take part, "
        "calls, bytes of the tensors, bytes that a ring makes the rank send; flop_counter_mode: FLOPs; seconds; "
        "memory: bytes",
    }


if __name__ == "__main__":
    main()
