"""Record what every counter says of every specimen, each in a process of its own."""

import contextlib
import io
import json
import multiprocessing
import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from multiprocessing.connection import Connection
from pathlib import Path

import torch
import torch._dynamo  # it replaces functions itself, which no counter shall be blamed for
from counters import COUNTERS
from effects import left_behind, snapshot

from flopbook.specimens import SPECIMENS

DATA = Path("reference/data/peers.json")
SECONDS = 60


def main() -> None:
    """Record all results, also of counts that take too long or crash."""
    processes = multiprocessing.get_context("forkserver")
    processes.set_forkserver_preload(["torch._dynamo", "flopbook.specimens"])
    results = {}
    for number, (name, (package, _)) in enumerate(COUNTERS.items(), 1):
        print(f"[{number}/{len(COUNTERS)}] {name} {version(package)}", flush=True)
        answers = {specimen.name: ask(processes, name, place) for place, specimen in enumerate(SPECIMENS)}
        results[name] = {"package": package, "version": version(package), "specimens": answers}
    derived = {specimen.name: specimen.forward for specimen in SPECIMENS}
    write({**circumstances(), "derived": derived, "counters": results})


def ask(processes, name: str, place: int) -> dict:
    """Return a counter's result for a specimen, or how it failed."""
    receiver, sender = processes.Pipe(duplex=False)
    process = processes.Process(target=answer, args=(name, place, sender))
    process.start()
    sender.close()
    try:
        if receiver.poll(SECONDS):
            return receiver.recv()
        process.kill()
        return {"crashes": f"no answer in {SECONDS} s", "leaves": {}}
    except EOFError:
        return {"crashes": "the process died", "leaves": {}}
    finally:
        process.join()


def answer(name: str, place: int, sender: Connection) -> None:
    """Count in this process, and note what is left behind."""
    torch.manual_seed(0)
    _, count = COUNTERS[name]
    model, inputs = SPECIMENS[place].build()
    before = snapshot(model)
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        try:
            found = count(model, inputs)
        except Exception as error:
            found = {"crashes": reason(error, said.getvalue())}
        found["leaves"] = left_behind(before, model, inputs)
    sender.send(found)


def reason(error: Exception, printed: str) -> str:
    """Write an exception in one line, preferably the one that a tool caught and printed."""
    words = f"{type(error).__name__}: {error}"
    caught = [line for line in printed.splitlines() if "Error: " in line]
    return (caught[-1] if caught else words.splitlines()[0]).strip()[:200]


def circumstances() -> dict:
    """Describe when and where this is recorded."""
    machine = platform.system(), platform.machine(), torch.backends.cpu.get_cpu_capability(), f"{os.cpu_count()} cores"
    return {
        "schema": 1,
        "recorded": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "system": ", ".join(machine),
        "units": "FLOPs of contractions where the counter tells them apart; 2 for each multiply-accumulate it reports",
    }


def write(recorded: dict) -> None:
    """Replace the file in one move."""
    unfinished = DATA.with_suffix(".tmp")
    unfinished.write_text(json.dumps(recorded, indent=1) + "\n")
    os.replace(unfinished, DATA)
    print(f"{sum(len(c['specimens']) for c in recorded['counters'].values())} answers are in {DATA}")


if __name__ == "__main__":
    main()
