"""List published models: ``flopbook models``, or show one of them by its name."""

import argparse

from flopbook.command.load import MistakeError
from flopbook.tables import Table

HELP = "list published models, or show one of them"
DESCRIPTION = """List the models that are known by name, or show one: its parameters, formula, sizes and source.

Two examples are

  flopbook models
  flopbook models "Llama 3 8B"
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the argument of the command."""
    parser.add_argument("name", metavar="NAME", nargs="?", help="the model to show; all are listed without it")


def run(options: argparse.Namespace) -> str:
    """Return the table of all models, or what one is."""
    from flopbook.published import named, names  # noqa: PLC0415  (help needs no SymPy)

    if options.name is None:
        networks = [named(name).network for name in names()]
        rows = [(each.name, each.architecture, each.parameters, each.active) for each in networks]
        return str(Table(["model", "architecture", "parameters", "of these active"], rows))
    try:
        model = named(options.name)
    except ValueError as error:
        raise MistakeError(str(error)) from None
    said = [f"{what} as published: {number}" for what, number in model.published.items()]
    return "\n".join([str(model.network), *said, f"source: {model.source}"])
