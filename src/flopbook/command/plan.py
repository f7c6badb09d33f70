"""Plan a run: ``flopbook plan config.json --tokens 15T --devices 512 --device "H100 SXM" --mfu 40%``."""

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from flopbook.checks import quoted
from flopbook.command.load import MistakeError
from flopbook.tables import Table

if TYPE_CHECKING:
    from flopbook.published.network import Network

HELP = "plan the training of a model: FLOPs, bytes, hours"
DESCRIPTION = """Plan the training and the use of a model that reads tokens, from its config.json or its name.

An example is

  flopbook plan config.json --tokens 15T --devices 512 --device "H100 SXM" --mfu 40%

flopbook models lists the names. A choice may be shortened to its beginning, as in --sharding "ZeRO 3"; one that is not
known is answered with those that are.
"""
#: The choices of a plan, and what is chosen unless told.
_CHOICES = {
    "Attention": "dense",
    "Checkpoints": "none",
    "Loss": "in 32 bits",
    "Optimizer": "AdamW",
    "Precision": "16 bits, with a float32 copy",
    "Sharding": "none",
}
#: Sizes of the mesh, and the micro-batches that a pipeline needs.
_MESH = {
    "tensor": "how many devices share each layer",
    "context": "how many devices share each sequence",
    "pipeline": "how many devices share the layers, stage by stage",
    "micro-batches": "how many passes each copy of the model takes for its share of the batch",
}
_AMOUNT = re.compile(r"(?P<number>\d{1,18}(\.\d{1,18})?)(?P<unit>[kMBT]?)")
_UNITS = {"": 1, "k": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_PERCENT = re.compile(r"(\d{1,3}(?:\.\d{1,18})?)%?")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Name the arguments of the command."""
    parser.add_argument("model", metavar="CONFIG", help="a config.json, or the name of a published model")
    parser.add_argument("--tokens", default="1T", help="tokens to train on, such as 300B; %(default)s unless told")
    parser.add_argument("--length", default="4096", help="tokens of a sequence; %(default)s unless told")
    parser.add_argument("--batch", help="sequences of a step; one for each copy and micro-batch unless told")
    parser.add_argument("--devices", default="8", help="how many devices; %(default)s unless told")
    for name, what in _MESH.items():
        parser.add_argument(f"--{name}", default="1", help=f"{what}; %(default)s unless told")
    parser.add_argument("--device", default="H100 SXM", help='such as "B200 HGX, fp8"; %(default)s in bf16 unless told')
    parser.add_argument(
        "--mfu", default="40%", help="model FLOPs utilization, of a pipeline outside its bubble; 40%% unless told"
    )
    for label, first in _CHOICES.items():
        parser.add_argument(f"--{label.lower()}", metavar="CHOICE", default=first, help=f"{first} unless told")
    parser.add_argument("--json", action="store_true", help="print exact numbers as JSON")


def run(options: argparse.Namespace) -> str:
    """Plan the run, and return what it takes as a table."""
    devices = _amount("--devices", options.devices)
    mesh = {name.replace("-", "_"): _amount(f"--{name}", getattr(options, name.replace("-", "_"))) for name in _MESH}
    of_copy = mesh["tensor"] * mesh["context"] * mesh["pipeline"]
    if devices % of_copy:
        raise MistakeError(
            f"--tensor, --context and --pipeline take {of_copy} devices for a copy of the model, which does not divide "
            f"the {devices} of --devices: give {-(-devices // of_copy) * of_copy}, or a smaller mesh"
        )
    copies = devices // of_copy
    sizes: dict[str, int | Fraction] = {
        "budget": _amount("--tokens", options.tokens),
        "T": _amount("--length", options.length),
        "B": _amount("--batch", options.batch) if options.batch is not None else copies * mesh["micro_batches"],
        **mesh,
        "devices": devices,
        "utilization": _percent(options.mfu),
    }
    network = read(options.model)
    _check_mesh(mesh, {**network.sizes, "T": sizes["T"]})

    from flopbook.published.plan import amounts, run_plan, use_plan  # noqa: PLC0415  (help needs no SymPy)

    try:
        model = amounts(network)
    except ValueError as error:
        raise MistakeError(str(error)) from None
    plan, use = run_plan({network.name: model}), use_plan()
    chosen = {label: _choice(label, getattr(options, label.lower()), plan.choices[label]) for label in _CHOICES}
    chosen["Device"] = _device(options.device)
    for label, name in chosen.items():
        sizes |= plan.choices[label][name]
    values = plan.at(**model, **sizes) | use.at(**model, **sizes)
    if options.json:
        exact = {title: int(value) if value.denominator == 1 else str(value) for title, value in values.items()}
        return json.dumps({"model": network.name, "choices": chosen, "rows": exact}, indent=2)
    units = {title: unit for title, (unit, _) in [*plan.rows.items(), *use.rows.items()]}
    return _written(network.name, sizes, chosen, [(title, units[title], value) for title, value in values.items()])


def _check_mesh(mesh: Mapping[str, int], sizes: Mapping[str, int | Fraction]) -> None:
    """Refuse a mesh that cannot split the model."""
    for name, letter, what in (
        ("tensor", "H", "heads"),
        ("tensor", "G", "heads of keys and values"),
        ("context", "T", "tokens of a sequence"),
    ):
        number = sizes.get(letter, 0)
        if number % mesh[name]:
            raise MistakeError(f"--{name} {mesh[name]} does not divide {number:,} {what}: give a divisor of {number}")
    layers = sizes.get("L", mesh["pipeline"])
    if mesh["pipeline"] > layers:
        raise MistakeError(f"--pipeline {mesh['pipeline']} is more than {layers} layers: give at most {layers}")


def read(model: str) -> "Network":
    """Read a model from a file or by its name.

    Raises
    ------
    MistakeError
        If there is no such file or name, or the file is not understood.
    """
    from flopbook.published import from_config, named, names  # noqa: PLC0415  (help needs no SymPy)

    path = Path(model)
    try:
        if (model and path.exists()) or (model not in names() and (path.suffix == ".json" or len(path.parts) > 1)):
            return from_config(path, name=path.stem if path.stem != "config" else "")
        return named(model).network
    except OSError as error:
        raise MistakeError(f"{quoted(model)} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise MistakeError(str(error)) from None


def _amount(option: str, text: str) -> int:
    """Read a whole number of at least 1, such as ``512``, ``300B`` or ``1.5T``."""
    found = _AMOUNT.fullmatch(text.replace(",", "").replace("_", ""))
    amount = Fraction(found["number"]) * _UNITS[found["unit"]] if found else Fraction(0)
    if amount < 1 or amount.denominator > 1:
        raise MistakeError(f"{option} {quoted(text)} is not an amount: write one such as 512, 300B or 15T")
    return int(amount)


def _percent(text: str) -> Fraction:
    found = _PERCENT.fullmatch(text.strip())
    percent = Fraction(found[1]) if found else Fraction(0)
    least = 0 if text.strip().endswith("%") else 1  # as 0.4 may stand for 40%
    if percent <= 0 or not least <= percent <= 100:
        raise MistakeError(f"--mfu {quoted(text)} is not a share of the peak: write a percentage such as 40%")
    return percent


def _choice(label: str, text: str, options: Iterable[str]) -> str:
    """Find the option that a text begins."""
    found = [name for name in options if name.lower().startswith(text.lower().strip())]
    exact = [name for name in found if name.partition(":")[0].lower() == text.lower().strip()]
    if len(exact or found) == 1:
        return (exact or found)[0]
    known = "; ".join(name.partition(":")[0] for name in options)
    raise MistakeError(f"--{label.lower()} {quoted(text)} is not one of these: {known}")


def _device(text: str) -> str:
    """Name a device and a format as a plan does; bf16 unless a format follows a comma."""
    from flopbook.devices import find_device, find_peak  # noqa: PLC0415  (help needs no table of devices)

    name, comma, number_format = (part.strip() for part in text.partition(","))
    try:
        device = find_device(name).name
        find_peak(device, number_format if comma else "bf16")
    except ValueError as error:
        raise MistakeError(f"--device: {error}") from None
    return f"{device}, {number_format if comma else 'bf16'}"


def _written(
    name: str, sizes: Mapping[str, int | Fraction], chosen: Mapping[str, str], rows: list[tuple[str, str, Fraction]]
) -> str:
    """Write a line on what was asked, the choices, and the rows with three digits and with all."""
    from flopbook.teaching.calculators.html import long, short  # noqa: PLC0415  (help needs no SymPy)

    asked = (
        f"{name}: {sizes['budget']:,} tokens in steps of {sizes['B']:,} sequences of {sizes['T']:,}, on "
        f"{sizes['devices']:,} x {chosen['Device']} at {float(sizes['utilization']):g}% of the peak"
        f"{' outside the bubble' if sizes['pipeline'] > 1 else ''}"
    )
    choices = "; ".join(f"{label.lower()}: {option}" for label, option in chosen.items() if label != "Device")
    if any(sizes[name.replace("-", "_")] > 1 for name in _MESH):
        asked += "\n" + ", ".join(f"{name} {sizes[name.replace('-', '_')]}" for name in _MESH)
    table = Table(["", "about", "exactly"], [(title, short(value, unit), long(value)) for title, unit, value in rows])
    return f"{asked}\n{choices}\n\n{table}"
