"""Change the code in one place and see whether a test notices, for `make mutants`.

The mutants come in an order that the seed decides, as many as the time allows; those that no test notices are
printed. `equivalents.toml`, beside this file, names those that change no behaviour, each with its reason.

mutmut changes no function that has a decorator, and each of our rules has one; cosmic-ray imports torch anew for
each mutant.
"""

import argparse
import os
import random
import signal
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from pathlib import Path

from tools.mutants.changes import Mutant, mutants_of
from tools.mutants.choice import SOURCE, TARGETS
from tools.mutants.trial import NOTHING_TO_SWAP, Session, attempt, fork, import_mutant, warm_up

EQUIVALENTS = Path(__file__).with_name("equivalents.toml")


def try_all(mutants: Sequence[Mutant], session: Session, until: float) -> int:
    """Try mutants side by side until time is up; print those that no test notices, and return their number."""
    (asked, ask), (answers, answer) = os.pipe(), os.pipe()
    fork(session.run, asked, ask, answer)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    waiting, running, survivors = list(reversed(range(len(mutants)))), 0, 0

    def start(number: int, swap: bool) -> None:
        if swap:
            os.write(ask, f"{number}\n".encode())
        else:
            batches = record.batches(mutants[number])
            attempt(answer, number, record.cost(mutants[number]), import_mutant, mutants[number], batches)

    with open(answers, encoding="ascii") as ended:
        ended.readline()
        record = session.recorded()
        if record.failed or not record.seconds:
            sys.exit(f"tests fail without any mutant: {', '.join(record.failed) or 'all'}")
        while running or (waiting and time.monotonic() < until):
            while waiting and running < (os.cpu_count() or 1) and time.monotonic() < until:
                number = waiting.pop()
                start(number, record.swappable(mutants[number]))
                running += 1
            number, code = map(int, ended.readline().split())
            if number == Session.READY:
                sys.exit("the process that holds the tests ended")
            if code == NOTHING_TO_SWAP:
                start(number, swap=False)
                continue
            running -= 1
            if code == 0:
                survivors += 1
                print(describe(mutants[number]), flush=True)
    tried = len(mutants) - len(waiting)
    print(f"{tried} of {len(mutants)} mutants tried: {tried - survivors} noticed, {survivors} not")
    return survivors


def describe(mutant: Mutant) -> str:
    """Write a mutant that survived, for printing."""
    line = mutant.path.read_bytes().count(b"\n", 0, mutant.start) + 1
    shown = mutant.shown()
    return f"{mutant.path}:{line}\n  was      {shown['was']}\n  becomes  {shown['becomes']}"


def main() -> None:
    """Print the mutants that no test notices."""
    parser = argparse.ArgumentParser(prog="python -m tools.mutants", description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=40, help="stop after so many minutes (default: 40)")
    parser.add_argument("--seed", type=int, default=1, help="decides the order of tests and mutants (default: 1)")
    parser.add_argument("paths", nargs="*", type=Path, help="files or folders (default: what the figures rest on)")
    arguments = parser.parse_args()
    until = time.monotonic() + 60 * arguments.minutes

    paths = arguments.paths or [SOURCE / "flopbook" / target for target in TARGETS]
    files = sorted(file for path in paths for file in (path.rglob("*.py") if path.is_dir() else [path]))
    equivalents = tomllib.loads(EQUIVALENTS.read_text(encoding="utf-8"))["equivalent"]
    known = {(entry["path"], entry["was"], entry["becomes"]) for entry in equivalents}
    mutants = [mutant for file in files for mutant in mutants_of(file)]
    different = [mutant for mutant in mutants if tuple(mutant.shown().values()) not in known]
    random.Random(arguments.seed).shuffle(different)
    print(f"{len(different)} mutants, {len(mutants) - len(different)} more change no behaviour", flush=True)

    warm_up()
    with tempfile.NamedTemporaryFile() as written:
        survivors = try_all(different, Session(different, files, Path(written.name), arguments.seed), until)
    sys.exit(bool(survivors))


if __name__ == "__main__":
    main()
