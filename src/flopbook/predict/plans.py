"""Predict what training a whole model takes: FLOPs, bytes and time."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from fractions import Fraction
from typing import ClassVar

import sympy
from sympy import Expr, Max, Min, ceiling, floor

from flopbook import checks
from flopbook.checks import quoted
from flopbook.devices import DEVICES
from flopbook.predict.axes import axis
from flopbook.predict.memory import FLOAT32, MIXED, Formats, bytes_held
from flopbook.predict.models import Model
from flopbook.predict.optimizers import OPTIMIZERS, State
from flopbook.predict.roofline import mfu
from flopbook.predict.values import number

__all__ = ["Plan", "training_plan"]

#: MIME type of a plan.
PLAN = "application/vnd.flopbook.plan+json"

#: FLOP/s in the unit of a plan's `peak`.
GIGA = 10**9
_HOUR = 3600

_DEVICES = {
    f"{device.name}, {dtype}": {
        "peak": round(peak / GIGA),
        "memory": device.memory_bytes,
        "bandwidth": round(device.bytes_per_s),
    }
    for device in DEVICES.values()
    for dtype, peak in device.peak_flop_per_s.items()
}

#: What is chosen with a name, and the sizes that each name stands for; the first is what a calculator starts with.
_CHOICES = {
    "Optimizer": {
        name: {"update_flops": OPTIMIZERS[name].operations, **OPTIMIZERS[name].state._asdict()}
        for name in ("AdamW", "Adam", "SGD with momentum", "SGD")
    },
    "Precision": {
        name: {f"bytes_{kind}": size for kind, size in asdict(formats).items()}
        for name, formats in {
            "16 bits, with a float32 copy and moments": MIXED,
            "the same, gradients in float32": replace(MIXED, gradients=4),
            "16 bits throughout": Formats(2, 2, 2, 2),
            "float32": FLOAT32,
        }.items()
    },
    "Sharding": {
        "none: each device holds all": dict(shard_parameters=0, shard_gradients=0, shard_optimizer=0),
        "ZeRO 1: optimizer state": dict(shard_parameters=0, shard_gradients=0, shard_optimizer=1),
        "ZeRO 2: gradients, too": dict(shard_parameters=0, shard_gradients=1, shard_optimizer=1),
        "ZeRO 3: parameters, too": dict(shard_parameters=1, shard_gradients=1, shard_optimizer=1),
    },
    "Device": {name: _DEVICES[name] for name in ("H100 SXM, bf16", *_DEVICES)},
}


@dataclass(frozen=True)
class Plan:
    """Holds expressions in the sizes of a model and of its training, made by :func:`training_plan`.

    Attributes
    ----------
    name, title : str
        As of a boxed formula.
    rows : dict
        For each title its unit and its expression.
    choices : dict
        For each label its options, and for each option the sizes it stands for.
    watched : tuple of str
        Titles of the rows that decide, which a calculator keeps in sight.
    reader : str
        The function, as ``module:name``, that reads the text of a ``config.json`` as one more option of `Model`:
        it returns a dict of the option's name, and of its sizes as text. Empty where nothing can be read.
    """

    name: str
    title: str
    rows: Mapping[str, tuple[str, Expr]]
    choices: Mapping[str, Mapping[str, Mapping[str, int]]]
    reader: str = ""
    watched: ClassVar = ("One step", "Memory of a device", "Time of all steps")

    def at(self, **sizes: int | Fraction) -> dict[str, Fraction]:
        """Work out every row; a size that a choice stands for may be 0.

        Parameters
        ----------
        **sizes : int or Fraction
            The size of each letter, those of a choice included.

        Raises
        ------
        ValueError
            If a letter has no size; names it.

        Examples
        --------
        >>> plan = Plan("rows", "Rows", {"Bytes": ("B", axis("rows") / axis("devices"))}, {})
        >>> plan.at(rows=7, devices=2)
        {'Bytes': Fraction(7, 2)}
        """
        given: dict[Expr, Fraction] = {axis(name): Fraction(size) for name, size in sizes.items()}
        missing = {letter.name for _, row in self.rows.values() for letter in row.free_symbols} - sizes.keys()
        if missing:
            raise ValueError(f"the plan {self.name!r} needs a size for {', '.join(sorted(missing))}")
        return {title: _value(row, given) for title, (_, row) in self.rows.items()}

    def __repr__(self):
        return "\n".join([self.title, *(f"  {title}: {expression}" for title, (_, expression) in self.rows.items())])

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        return {
            PLAN: {
                "name": self.name,
                "title": self.title,
                "rows": [[title, str(expression), _latex(expression)] for title, (_, expression) in self.rows.items()],
            },
            "text/plain": repr(self),
        }


#: How the value of a row follows from those of its parts.
_WORKED_OUT: dict[type, Callable[..., Fraction]] = {
    sympy.Add: lambda *parts: sum(parts, Fraction(0)),
    sympy.Mul: lambda *parts: math.prod(parts, start=Fraction(1)),
    sympy.Pow: operator.pow,
    Max: max,
    Min: min,
    ceiling: lambda part: Fraction(math.ceil(part)),
    floor: lambda part: Fraction(math.floor(part)),
}


def _value(expression: Expr, values: dict[Expr, Fraction]) -> Fraction:
    """Work out an expression, and each of its parts once: rows share most of them, and SymPy would simplify it."""
    if expression not in values:
        if expression.func in _WORKED_OUT and not (expression.is_Pow and not expression.exp.is_integer):
            value = _WORKED_OUT[expression.func](*(_value(part, values) for part in expression.args))
        else:  # a number, or a root or another function that is left to SymPy
            given = {letter: sympy.Rational(values[letter]) for letter in expression.free_symbols}
            number = expression.xreplace(given)
            value = Fraction(int(number.p), int(number.q))
        values[expression] = value
    return values[expression]


def _latex(expression: Expr) -> str:
    """Write an expression in TeX, with words upright, so that none reads as a product."""
    upright = {}
    for word in (symbol for symbol in expression.free_symbols if symbol.name.islower()):
        first, *others = word.name.split("_")
        upright[word] = rf"\text{{{first}}}" + (rf"_{{\text{{{' '.join(others)}}}}}" if others else "")
    return sympy.latex(expression, symbol_names=upright, mul_symbol=r"\,")


def training_plan(  # noqa: PLR0913  (what a model adds to the rest is optional)
    name: str,
    title: str,
    model: Model,
    samples: Expr,
    presets: Mapping[str, Mapping[str, int]] | None = None,
    *,
    again: Expr | int = 0,
    loss: Expr | int = 0,
    exchanged: Expr | int = 0,
    choices: Mapping[str, Mapping[str, Mapping[str, int]]] | None = None,
) -> Plan:
    """Predict what it takes to train a `model`.

    Beside the model's own letters the expressions have these: `devices`; `peak`, the dense peak of each in GFLOP/s;
    `memory`, the bytes that each can hold; `utilization`, the MFU of a busy device in percent; `budget`, what is
    trained on altogether, in the unit of `samples`; and what an optimizer, a precision and a sharding stand for. Every
    device has its share of the batch, and holds the whole model or its share of what is sharded. Bytes and time are
    those of the device with the largest share: a sequence is not split.

    Parameters
    ----------
    name, title : str
        What a calculator calls it, such as ``decoder``, and what it says.
    model : Model
        From `flopbook.predict.models`.
    samples : sympy.Expr
        What one step learns from, such as the tokens B*T.
    presets : dict, optional
        Models by name, and their sizes: of letters at least 1, of words, such as ``parameters``, any whole number.
    again : sympy.Expr, optional
        FLOPs of the forward pass that checkpoints run again.
    loss : sympy.Expr, optional
        Bytes that the loss keeps for the backward pass, where the model's activations leave it out.
    exchanged : sympy.Expr, optional
        Numbers that devices which share a layer gather or add up in a step, whole, all such transfers together. Where
        it is given, the plan has a mesh: so many devices share a layer (`tensor`), a sequence (`context`) and the
        layers (`pipeline`), and a step has `micro_batches`. What is left of the devices holds copies. Each divides
        evenly, and with a mesh of one, the plan is as without.
    choices : mapping, optional
        What else is chosen with a name, as `choices` of :class:`Plan`.

    Returns
    -------
    Plan
        Its rows are in the order of the questions about a run.

    Raises
    ------
    TypeError, ValueError
        If the model, its names, the samples or a preset is anything else.

    Examples
    --------
    >>> from flopbook.predict import B
    >>> from flopbook.predict.models import mlp
    >>> plan = training_plan("mlp", "A perceptron", mlp(), samples=B)
    >>> plan.rows["Time of a step"]
    ('s', H*(2*D + 3*H*(L - 1) + 3*K)*ceiling(B/devices)/(5000000*peak*utilization))
    """
    checks.text("name", name)
    checks.text("title", title)
    if not isinstance(model, Model):
        raise TypeError(f"{quoted(model)} is not a model: write mlp() or decoder() of flopbook.predict.models")
    if number("samples", samples) == 0:
        raise ValueError("samples=0 is not a batch: write what one step learns from, such as B * T")
    if not isinstance(presets or {}, Mapping):
        raise TypeError(f"presets={quoted(presets)} has no names: write {{'GPT-2': dict(D=768, ...)}}")
    for preset in (presets or {}).values():
        checks.sizes({letter: size for letter, size in preset.items() if letter[:1].isupper()})
        for amount in preset.values():
            operator.index(amount)
    # as in flopbook.predict.optimizers.update_flops, with a letter for what the optimizer decides
    update = axis("update_flops") * model.parameters + axis("counters") * model.tensors
    flops = {"Forward pass": model.forward, "Backward pass": model.backward}
    if again != 0:
        flops["Forward pass, run again"] = number("again", again)
    flops["Update"] = update
    flops["One step"] = sympy.expand(sympy.Add(*flops.values()))
    rows = {
        "Parameters": ("", model.parameters),
        **({} if model.active == model.parameters else {"Parameters that a token meets": ("", model.active)}),
        **{title: ("FLOPs", expression) for title, expression in flops.items()},
    }
    mesh = _Mesh(number("exchanged", exchanged))
    rows |= mesh.rows(flops)
    rows |= _memory(model, number("loss", loss), mesh)
    rows |= mesh.sent(model.parameters)
    rows |= _duration(mesh.largest_share(model.forward + model.backward) / mesh.size, samples, mesh)
    return Plan(name, title, rows, {**({"Model": presets} if presets else {}), **(choices or {}), **_CHOICES})


class _Mesh:
    """Says how devices share the model, in letters; without `exchanged`, each device is a copy."""

    def __init__(self, exchanged: Expr):
        self.exchanged, self.devices = exchanged, axis("devices")
        self.there = exchanged != 0
        names = ("tensor", "context", "pipeline", "micro_batches")
        letters = [axis(name) if self.there else sympy.Integer(1) for name in names]
        self.tensor, self.context, self.pipeline, self.micro_batches = letters
        self.size = self.tensor * self.context * self.pipeline
        self.copies = Max(1, floor(self.devices / self.size)) if self.there else self.devices
        share = ceiling(axis("B") / self.copies)
        self.passes = Min(self.micro_batches, share) if self.there else self.micro_batches
        self.bubble = (self.pipeline - 1) / (self.passes + self.pipeline - 1)

    def largest_share(self, of_batch: Expr) -> Expr:
        """Give the part of the copy that has the most samples of a batch."""
        return of_batch.subs(axis("B"), ceiling(axis("B") / self.copies))

    def kept(self, of_batch: Expr, *, in_flight: bool) -> Expr:
        """Give what a device keeps of a batch: of a micro-batch, or of as many as wait in its pipeline."""
        if not self.there:
            return self.largest_share(of_batch)
        each = of_batch.subs(axis("B"), ceiling(ceiling(axis("B") / self.copies) / self.passes))
        waiting = Min(self.passes, self.pipeline) / self.pipeline if in_flight else 1
        return ceiling(each * waiting / (self.tensor * self.context))

    def rows(self, flops: Mapping[str, Expr]) -> dict[str, tuple[str, Expr]]:
        """Give what the mesh makes of the devices and of the FLOPs of a step."""
        if not self.there:
            return {}
        products = sympy.Add(*(each for title, each in flops.items() if title not in ("Update", "One step")))
        return {
            "Copies of the model": ("", self.copies),
            "Devices that the mesh lacks": ("", Max(0, self.size - self.devices)),
            "Products of a device in a step": ("FLOPs", ceiling(self.largest_share(products) / self.size)),
            "Bubble of the pipeline": ("%", 100 * self.bubble),
        }

    def sent(self, parameters: Expr) -> dict[str, tuple[str, Expr]]:
        """Give the bytes that a device sends in rings: for what copies share, and for what tensor devices exchange."""
        if not self.there:
            return {}
        ranks = self.copies * self.context
        optimizer, whole = axis("shard_optimizer"), axis("shard_parameters")
        each = axis("bytes_gradients") * (2 - optimizer) + axis("bytes_parameters") * (optimizer + whole)
        of_copies = each * parameters / (self.tensor * self.pipeline) * (ranks - 1) / ranks
        between = axis("bytes_activations") * self.largest_share(self.exchanged) / (self.context * self.pipeline)
        return {
            "Bytes sent for gradients and parameters": ("B", ceiling(of_copies)),
            "Bytes sent between the parts of a layer": ("B", ceiling(between * (self.tensor - 1) / self.tensor)),
        }


def _memory(model: Model, loss: Expr, mesh: _Mesh) -> dict[str, tuple[str, Expr]]:
    """Predict the bytes on each device, with what it holds of the model and its share of the activations."""
    state = State(*(axis(name) for name in State._fields))
    formats = Formats(*(axis(f"bytes_{kind.name}") for kind in fields(Formats)))
    held = bytes_held(model.parameters, model.tensors, model.activations, state, formats)
    kinds = {
        "Bytes of parameters": _shard(held.parameters, "parameters", mesh),
        "Bytes of gradients": _shard(held.gradients, "gradients", mesh),
        "Bytes of optimizer state": _shard(held.optimizer, "optimizer", mesh),
        "Bytes of activations": mesh.kept(held.activations, in_flight=True) + mesh.kept(loss, in_flight=False),
    }
    total = kinds["All bytes"] = sympy.Add(*kinds.values())
    return {
        **{title: ("B", size) for title, size in kinds.items()},
        "Memory of a device": ("of memory", total / axis("memory")),
        # unevaluated: to ask which of the two is larger takes longer than all the rest, and letters leave it open
        "Bytes that do not fit": ("B", Max(0, total - axis("memory"), evaluate=False)),
    }


def _shard(held: Expr, kind: str, mesh: _Mesh) -> Expr:
    """Divide bytes among all copies where this kind is sharded: its letter is 1, and 0 where it is not."""
    ranks = mesh.copies * mesh.context
    return ceiling(held / (mesh.tensor * mesh.pipeline) / (1 + axis(f"shard_{kind}") * (ranks - 1)))


def _duration(share_flops: Expr, samples: Expr, mesh: _Mesh) -> dict[str, tuple[str, Expr]]:
    """Predict the time of the slowest device: the definition of MFU, solved for the seconds."""
    devices, seconds, share = axis("devices"), axis("seconds"), axis("share")
    utilization = mfu(share, seconds, axis("peak") * GIGA)
    # for a letter: of all that a model's FLOPs are made of, `solve` writes out every product
    (step_seconds,) = sympy.solve(utilization - axis("utilization") / 100, seconds)
    step_seconds = step_seconds.xreplace({share: sympy.factor_terms(share_flops)}) / (1 - mesh.bubble)
    steps = ceiling(axis("budget") / samples)
    return {
        "Devices with work": ("", Min(axis("B"), mesh.copies) * mesh.size),
        "Time of a step": ("s", step_seconds),
        "Steps": ("", steps),
        "Time of all steps": ("hours", steps * step_seconds / _HOUR),
        "Devices × time": ("device-hours", devices * steps * step_seconds / _HOUR),
    }
