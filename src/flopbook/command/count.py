"""Count what a step takes: ``flopbook count train:step``."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from flopbook.checks import quoted
from flopbook.command.load import MistakeError, call, load
from flopbook.command.torchrun import group, is_first, under_torchrun
from flopbook.counts.views import dump

if TYPE_CHECKING:
    from torch import nn

    from flopbook.measure.report import Report

HELP = "count, time and weigh a training step"
DESCRIPTION = """Run a step, and report its FLOPs, seconds and bytes, by phase, operator and module.

A step is a function without arguments that runs forward pass, backward pass and optimizer, once. It is called several
times. An example, for a file train.py with a function step:

  flopbook count train:step --trace step.json

Under torchrun every rank runs the step; rank 0 prints its report, and the table of all ranks:

  torchrun --nproc-per-node 2 -m flopbook count train:step
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the arguments of the command."""
    parser.add_argument("step", metavar="MODULE:STEP", help="the function to count, such as train:step")
    parser.add_argument("--model", metavar="MODULE:MODEL", help="the model that the step calls; found unless given")
    parser.add_argument("--samples", type=int, help="how many samples a step takes")
    parser.add_argument("--tokens", type=int, help="how many tokens a step takes")
    parser.add_argument("--device", help='a device whose data sheet gives the roofline, such as "H100 SXM"')
    parser.add_argument("--dtype", help="the format at which the device has its peak, such as bf16")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    parser.add_argument("--trace", metavar="FILE", help="write the step's trace for ui.perfetto.dev")


def run(options: argparse.Namespace) -> str:
    """Measure the step, and return the report; on all ranks but the first, nothing."""
    if not under_torchrun():
        report = _measured(options)
        return report.to_json() if options.json else str(report)
    with group() as join:
        report = _measured(options, join)
        from flopbook.measure.distributed import gather  # noqa: PLC0415  (help and mistakes need no PyTorch)
        from flopbook.measure.report.show import as_dict  # noqa: PLC0415

        ranks = call(options.step, lambda: gather(report))
    if not is_first():
        return ""
    return dump(as_dict(report) | {"ranks": ranks.as_dict()}, None) if options.json else f"{report}\n\n{ranks}"


def _measured(options: argparse.Namespace, join: Callable[[], None] = lambda: None) -> "Report":
    """Find the step and its model, measure them, and write a trace if one is asked for."""
    step = load(options.step)
    if not callable(step):
        raise MistakeError(f"{quoted(options.step)} is {quoted(step)}, which cannot be called: name a function")
    from flopbook.measure.report import Report  # noqa: PLC0415  (help and mistakes need no PyTorch)

    join()
    model = load(options.model) if options.model else _found(options.step, step)
    given = {name: getattr(options, name) for name in ("samples", "tokens", "device", "dtype")}
    report = call(options.step, lambda: Report.measure(step, model=model, **given))
    if options.trace and is_first():
        call("--trace", lambda: report.save_trace(options.trace))
    return report


def _found(name: str, step: Callable[[], Any]) -> "nn.Module":
    """Run the step once, and return the model that it calls."""
    with _outermost() as models:
        call(name, step)
    if len(models) != 1:
        kinds = ", ".join(type(model).__name__ for model in models) or "no model"
        raise MistakeError(f"{quoted(name)} calls {kinds}: say which one to report with --model MODULE:MODEL")
    return models[0]


@contextmanager
def _outermost() -> Iterator[list["nn.Module"]]:
    """List the modules with parameters that are called from outside of any other."""
    from torch.nn.modules import module  # noqa: PLC0415  (help and mistakes need no PyTorch)

    running: list[nn.Module] = []
    found: list[nn.Module] = []

    def start(called: "nn.Module", arguments: tuple) -> None:
        if not running and called not in found and next(called.parameters(), None) is not None:
            found.append(called)
        running.append(called)

    def stop(called: "nn.Module", arguments: tuple, result: object) -> None:
        running.pop()

    hooks = (
        module.register_module_forward_pre_hook(start),
        module.register_module_forward_hook(stop, always_call=True),
    )
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
