"""Run the benchmark, or profile its training step, without Jupyter: ``python -m flopbook.labs benchmark``."""

import argparse

import matplotlib
import torch

from flopbook.labs.benchmark import Setup, benchmark, make_step, synthetic, to_json
from flopbook.labs.profile import save
from flopbook.labs.results import Results
from flopbook.measure.machine import choose_device
from flopbook.measure.report import Report
from flopbook.units import si

SAMPLES = (1_000, 5_000, 10_000)


def main() -> None:
    """Measure, say how far it is, and keep the results."""
    parser = argparse.ArgumentParser(prog="python -m flopbook.labs", description=__doc__.partition(":")[0])
    parser.add_argument("what", choices=("benchmark", "profile"))
    parser.add_argument("--results", default="results", help="folder to keep the results in (%(default)s)")
    options = parser.parse_args()
    matplotlib.use("Agg")
    torch.set_num_threads(1)  # the network is too small to be shared among threads
    device, word = choose_device()
    setup = Setup(device=device)
    print(f"A network of {(5, *setup.hidden, 1)} units, batch {setup.batch}. {word}", flush=True)
    run = _benchmark if options.what == "benchmark" else _profile
    run(setup, Results(options.results))


def _benchmark(setup: Setup, results: Results) -> None:
    measured = benchmark(SAMPLES, setup, progress=lambda line: print(line, flush=True))
    print(results.keep("benchmark.json", to_json(measured, setup)))


def _profile(setup: Setup, results: Results) -> None:
    print("measuring one training step, for some seconds", flush=True)
    step = make_step(setup, synthetic(SAMPLES[0], setup.seed, setup.device).train)
    report = Report.measure(step, model=step.model)
    print(f"{report.total:,} FLOPs a step, {si(report.flop_per_s or 0, 'FLOP/s')}")
    print(*report.bottlenecks, sep="\n")
    print(*save(report, results), sep="\n")


if __name__ == "__main__":
    main()
