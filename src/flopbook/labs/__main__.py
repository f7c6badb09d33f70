"""Run a lab without Jupyter: ``python -m flopbook.labs benchmark``, ``profile`` or ``accelerator``."""

import argparse

import torch

from flopbook.labs.accelerator import record
from flopbook.labs.results import Results
from flopbook.measure.machine import choose_device
from flopbook.units import si

SAMPLES = (1_000, 5_000, 10_000)


def main() -> None:
    """Run the lab that the command names, print its progress, and write its results."""
    parser = argparse.ArgumentParser(prog="python -m flopbook.labs", description=__doc__.partition(":")[0])
    labs = parser.add_subparsers(dest="what", required=True)
    for name, run in (("benchmark", _benchmark), ("profile", _profile)):
        lab = labs.add_parser(name)
        lab.add_argument("--results", default="results", help="folder to keep the results in (%(default)s)")
        lab.set_defaults(run=run)
    accelerator = labs.add_parser("accelerator")
    accelerator.add_argument("results", metavar="FOLDER", help="folder to write accelerator.json to")
    accelerator.add_argument("--device", default="auto", help="such as cpu or cuda (%(default)s)")
    accelerator.set_defaults(run=lambda options: record(options.results, options.device, _say))
    options = parser.parse_args()
    options.run(options)


def _say(line: str) -> None:
    print(line, flush=True)


def _benchmark(options: argparse.Namespace) -> None:
    from flopbook.labs.benchmark import Setup, benchmark, to_json  # noqa: PLC0415  (a lab imports what it needs)

    setup = Setup(device=_chosen(Setup.hidden, Setup.batch))
    measured = benchmark(SAMPLES, setup, progress=_say)
    _say(Results(options.results).keep("benchmark.json", to_json(measured, setup)))


def _profile(options: argparse.Namespace) -> None:
    import matplotlib  # noqa: PLC0415  (a lab imports what it needs)

    from flopbook.labs.benchmark import Setup, make_step, synthetic  # noqa: PLC0415
    from flopbook.labs.profile import save  # noqa: PLC0415
    from flopbook.measure.report import Report  # noqa: PLC0415

    matplotlib.use("Agg")
    setup = Setup(device=_chosen(Setup.hidden, Setup.batch))
    _say("measuring one training step, for some seconds")
    step = make_step(setup, synthetic(SAMPLES[0], setup.seed, setup.device).train)
    report = Report.measure(step, model=step.model)
    _say(f"{report.total:,} FLOPs a step, {si(report.flop_per_s or 0, 'FLOP/s')}")
    print(*report.bottlenecks, *save(report, Results(options.results)), sep="\n")


def _chosen(hidden: tuple[int, ...], batch: int) -> str:
    """Return the device to run on, and print what runs."""
    torch.set_num_threads(1)  # the network is too small to be shared among threads
    device, reason = choose_device()
    _say(f"A network of {(5, *hidden, 1)} units, batch {batch}. {reason}")
    return device


if __name__ == "__main__":
    main()
