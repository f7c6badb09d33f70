"""Let a model write its formula: ``flopbook trace net:build net:inputs B=8 D=64``."""

import argparse

from flopbook.checks import quoted
from flopbook.command.load import MistakeError, call, load

HELP = "let a model write the formula of its FLOPs"
DESCRIPTION = """Write the FLOPs of a model's step, forward and backward, as a formula in your letters.

The functions' parameters are the letters. An example, for a file net.py with

  def build(D, F):
      return nn.Sequential(nn.Linear(D, F), nn.GELU(), nn.Linear(F, D))

  def inputs(B, D):
      return torch.empty(B, D)

is

  flopbook trace net:build net:inputs B=8 D=16 F=64

The sizes are examples; the formula does not depend on them.
"""
#: More than any tensor's side has.
_DIGITS = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the arguments of the command."""
    parser.add_argument("build", metavar="MODULE:BUILD", help="the function that makes the model")
    parser.add_argument("inputs", metavar="MODULE:INPUTS", help="the function that makes what the model is called with")
    parser.add_argument("sizes", metavar="LETTER=SIZE", nargs="*", help="an example size of each letter")


def run(options: argparse.Namespace) -> str:
    """Trace the model, and return its formulas as a table."""
    sizes = dict(map(_size, options.sizes))
    build, inputs = load(options.build), load(options.inputs)

    from flopbook.tracing import trace  # noqa: PLC0415  (help and mistakes need no PyTorch)
    from flopbook.tracing.run import letters_of  # noqa: PLC0415

    wanted = call(options.build, lambda: letters_of(build, "build") | letters_of(inputs, "inputs"))
    if missing := [letter for letter, is_needed in wanted.items() if is_needed and letter not in sizes]:
        raise MistakeError(f"no size is given for {', '.join(missing)}: add {missing[0]}=8")
    if unknown := sizes.keys() - wanted.keys():
        raise MistakeError(f"neither function takes {', '.join(sorted(unknown))}: they take {', '.join(wanted)}")
    return repr(call(options.build, lambda: trace(build, inputs, sizes)))


def _size(text: str) -> tuple[str, int]:
    letter, equals, size = text.partition("=")
    if not (equals and letter.isidentifier() and size.isdecimal() and len(size) <= _DIGITS):
        raise MistakeError(f"{quoted(text)} is not a letter's size: write it like B=8")
    return letter, int(size)
