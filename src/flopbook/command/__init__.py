"""Answer on the command line: ``flopbook count train:step``."""

import argparse
import os
import sys
from collections.abc import Sequence

from flopbook.command import count, models, plan, trace
from flopbook.command.load import MistakeError

__all__ = ["main"]

_COMMANDS = (plan, models, count, trace)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit code: 0, or 2 after a mistake, which is told in one sentence.

    Parameters
    ----------
    arguments : sequence of str, optional
        What follows ``flopbook`` on the command line; that of this process unless given.

    Examples
    --------
    >>> main(["count", "math:sqrt.step"])
    2
    """
    parser = argparse.ArgumentParser(
        prog="flopbook",
        description="Plan the training of a published model, count a step of your own, or let it write its formula.",
        epilog="flopbook COMMAND --help shows a command's arguments and an example.",
    )
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    for command in _COMMANDS:
        name = command.__name__.rpartition(".")[2]
        described = argparse.RawDescriptionHelpFormatter
        one = commands.add_parser(name, help=command.HELP, description=command.DESCRIPTION, formatter_class=described)
        command.add_arguments(one)
        one.set_defaults(run=command.run)
    options = parser.parse_args(arguments)
    try:
        if said := options.run(options):
            print(said, flush=True)
    except MistakeError as mistake:
        print(f"flopbook: {mistake}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # whoever reads has enough, such as `head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 0
