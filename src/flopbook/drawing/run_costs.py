"""Draw what a training run takes: FLOPs of a step, bytes against a device's memory, and time."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from itertools import accumulate, pairwise
from math import ceil, log10
from typing import Any

from sympy import Expr, Integer, lambdify

from flopbook import checks
from flopbook.devices import DEVICES
from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.axes import B, L, T
from flopbook.predict.models import decoder, decoder_block
from flopbook.predict.plans import Plan, training_plan
from flopbook.predict.products import matmul
from flopbook.predict.steps import flops, training_step
from flopbook.predict.values import evaluate
from flopbook.tables import Table
from flopbook.units import si

#: Parts of a model, in the order of the bar; the products of a block by the letters that their FLOPs have.
_PARTS = ("q · k, p · v", "q, k, v, out", "feed-forward", "output layer")
_LOOKS = ("full", "", "", "")
_BYTES = ("Bytes of parameters", "Bytes of gradients", "Bytes of optimizer state", "Bytes of activations")
_ROWS = ("Forward pass", "Backward pass", "Update", "One step", *_BYTES, "All bytes", "Time of all steps")
_STEP, _MEMORY, _TIME = 12.0, 112.0, 196.0  # where the three parts of the drawing begin
#: What can be set, and how a reader reads it.
_LABELS = {
    "model": "Model", "devices": "Devices", "T": "T, tokens of a sequence", "optimizer": "Optimizer",
    "precision": "Precision", "price": "Dollars for a device-hour",
}  # fmt: skip
#: How many of which device a run may have, unless a page says otherwise.
_DEVICES = tuple(
    (number, f"{device}, bf16")
    for number, device in [
        (8, "H100 SXM"), (512, "H100 SXM"), (4096, "H100 SXM"), (512, "H200 SXM"), (512, "B200 HGX"), (512, "TPU7x"),
    ]
)  # fmt: skip
#: Hours of the ticks on the axis of time, which is logarithmic from an hour to ten million.
_TICKS = {"1 hour": 1, "day": 24, "month": 730.5, "year": 8766, "10 years": 87660, "100 years": 876600}


@dataclass(frozen=True)
class _Run:
    """Holds what a run takes in one state, exactly but for the hours."""

    rows: dict[str, int]
    hours: float
    devices: int
    device: str
    parts: tuple[int, ...]

    @property
    def capacity(self) -> int:
        return DEVICES[self.device].memory_bytes


def training_run(
    models: Mapping[str, Mapping[str, int]],
    sizes: Mapping[str, int],
    devices: Sequence[tuple[int, str]] = _DEVICES,
    choices: Mapping[str, Sequence[Any]] | None = None,
    start: Mapping[str, Any] | None = None,
) -> Picture:
    """Draw what training a transformer decoder takes: the FLOPs of a step, the bytes of each device, the time.

    The numbers are those of `flopbook.predict.plans.training_plan`.

    Parameters
    ----------
    models : mapping of str to mapping
        The sizes of each model by its name, such as `flopbook.predict.models.PUBLISHED`.
    sizes : mapping of str to int
        ``B``, the sequences of a step; ``budget``, the tokens to train on; ``utilization``, the MFU in percent.
    devices : sequence of (int, str), optional
        How many of which, such as ``(512, "H100 SXM, bf16")``, named as in `flopbook.devices.peaks`; some
        usual ones otherwise.
    choices : mapping of str to sequence, optional
        What else can be set: ``T``, the tokens of a sequence, which each model has by itself otherwise; ``optimizer``
        and ``precision``, by the names of a plan; ``price``, the dollars for an hour of a device.
    start : mapping of str to object, optional
        What ``model``, ``devices`` and the others are at first; the first of all otherwise.

    Raises
    ------
    TypeError, ValueError
        If a name is not known, or a size is missing.

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> run = training_run(PUBLISHED, dict(B=512, budget=15 * 10**12, utilization=40))
    >>> print(run.frame(model="Llama 3 8B", devices="512 × B200 HGX, bf16").sentence)
    It fits: each device holds 175 GB, 0.97 times the 180 GB that it has. Most of it is optimizer state. \
15 trillion tokens take 21.8 days at 40% of the peak.
    """
    plan = training_plan("decoder", "A transformer decoder", decoder(), samples=B * T, presets=models)
    fixed = checks.sizes(sizes)
    for name in ("B", "budget", "utilization"):
        if name not in fixed:
            raise ValueError(f"sizes has no {name}: write dict(B=512, budget=15 * 10**12, utilization=40)")
    chosen = {
        f"{number:,} × {checks.one_of('device', name, plan.choices['Device'])}": number for number, name in devices
    }
    values: dict[str, Sequence[Any]] = {"model": list(models), "devices": list(chosen)}
    for name, options in (choices or {}).items():
        values[checks.one_of("choice", name, _LABELS)] = options
        for option in options if name in ("optimizer", "precision") else ():
            checks.one_of(name, option, plan.choices[name.capitalize()])
    first = {name: options[0] for name, options in values.items()} | dict(start or {})
    run = _runs(plan, fixed, chosen)

    def draw(price: int = 0, **state: Any) -> Frame:
        found = run(**state)
        shapes = [*_step(found), *_memory(found), *_time(found, fixed["budget"])]
        return Frame(shapes, _said(found, fixed, price), _table(found))

    controls = [
        (Slider if name in ("T", "price") else Choice)(name, _LABELS[name], options, start=first[name])
        for name, options in values.items()
    ]
    return Picture("training-run", "What a training run takes", _TIME + 52, draw, controls)


def _runs(plan: Plan, fixed: Mapping[str, int], chosen: Mapping[str, int]) -> Callable[..., _Run]:
    """Return a function from a state to what its run takes."""
    letters = sorted({letter.name for title in _ROWS for letter in plan.rows[title][1].free_symbols})
    exactly = "devices", "budget"  # which are divided, and the result rounded up
    compute = lambdify(letters, [plan.rows[title][1] for title in _ROWS], modules=[{"ceiling": ceil}])
    presets, optimizers, precisions, peaks = (
        plan.choices[label] for label in ("Model", "Optimizer", "Precision", "Device")
    )
    (unsharded, *_) = plan.choices["Sharding"].values()

    @cache
    def parts(model: str, T: int) -> tuple[int, ...]:
        sizes = {**presets[model], **fixed, "T": T, "S": T}
        return tuple(int(evaluate(part, sizes)) for part in _flops_of_parts(sizes["matrices"] == 3))

    @cache
    def run(
        model: str,
        devices: str,
        T: int = 0,
        optimizer: str = next(iter(optimizers)),
        precision: str = next(iter(precisions)),
    ) -> _Run:
        name = devices.partition(" × ")[2]
        sizes = {**presets[model], **fixed, **optimizers[optimizer], **precisions[precision], **peaks[name]}
        sizes |= {**unsharded, "devices": chosen[devices], "T": T or sizes["T"]}
        *whole, hours = compute(
            *(Fraction(sizes[letter]) if letter in exactly else sizes[letter] for letter in letters)
        )
        rows = {title: int(value) for title, value in zip(_ROWS, whole, strict=False)}
        return _Run(rows, float(hours), chosen[devices], name.rpartition(", ")[0], parts(model, sizes["T"]))

    return run


@cache
def _flops_of_parts(gated: bool) -> tuple[Expr, ...]:
    """Sort the products of a step by the part of the model."""
    found: dict[str, Expr] = dict.fromkeys(_PARTS, Integer(0))
    for product in decoder_block(gated).forward:
        letters = {letter.name for letter in product.flops.free_symbols}
        part = _PARTS[2] if "F" in letters else _PARTS[1] if "D" in letters else _PARTS[0]
        found[part] += L * (product.flops + sum(gradient.flops for gradient in product.gradients))
    found[_PARTS[3]] = flops(training_step(matmul("n[B,T,D] @ table[D,V] -> logits[B,T,V]")))
    return tuple(found.values())


def _step(run: _Run) -> Iterator[str]:
    """Draw the FLOPs of a step: by pass, and by part of the model."""
    yield words(0, _STEP, "One step", "start")
    yield words(WIDTH, _STEP, f"{run.rows['One step']:,} FLOPs", "end strong")
    forward = run.rows["Forward pass"] / run.rows["One step"]
    yield rect(0, _STEP + 12, f"{forward:.1%}", 16, "forward")
    yield rect(f"{forward:.1%}", _STEP + 12, f"{1 - forward:.1%}", 16, "backward")
    yield words(WIDTH / 6, _STEP + 20.5, "forward")
    yield words(WIDTH * 2 / 3, _STEP + 20.5, "backward")
    shares = [part / sum(run.parts) for part in run.parts]
    for (left, right), look in zip(pairwise(accumulate(shares, initial=0.0)), _LOOKS, strict=True):
        yield rect(f"{left:.1%}", _STEP + 34, f"{right - left:.1%}", 16, look, fill="currentColor")
    yield from _columns(_STEP + 62, _PARTS, [f"{share:.1%}" for share in shares])


def _columns(y: float, names: Sequence[str], amounts: Sequence[str]) -> Iterator[str]:
    """Write four names with an amount below each, from the left edge to the right."""
    for number, (name, amount) in enumerate(zip(names, amounts, strict=True)):
        side = ("start", "", "", "end")[number]
        x = (0, WIDTH * 0.37, WIDTH * 0.66, WIDTH)[number]
        yield words(x, y, name, side)
        yield words(x, y + 15, amount, side)


def _memory(run: _Run) -> Iterator[str]:
    """Draw the bytes of a device, hatched where they exceed what it has."""
    parts = [run.rows[title] for title in _BYTES]
    total = run.rows["All bytes"]
    whole = max(total, run.capacity * 1.25)
    yield words(0, _MEMORY, "Memory of each device", "start")
    yield words(WIDTH, _MEMORY, f"{si(total, 'B')} of {si(run.capacity, 'B')}", "end strong")
    for left, right in pairwise(accumulate(parts, initial=0)):
        yield rect(f"{left / whole:.1%}", _MEMORY + 14, f"{(right - left) / whole:.1%}", 16, "bytes")
    limit, end = (f"{amount / whole:.1%}" for amount in (run.capacity, max(total, run.capacity)))
    yield line(limit, _MEMORY + 22, end, _MEMORY + 22, stroke_width=16, stroke_dasharray="1.5 4")
    yield line(limit, _MEMORY + 9, limit, _MEMORY + 35, stroke_width=3)
    names = [title.removeprefix("Bytes of ").removesuffix(" state") for title in _BYTES]
    yield from _columns(_MEMORY + 42, names, [si(part, "B") for part in parts])


def _time(run: _Run, budget: int) -> Iterator[str]:
    """Draw the time on a logarithmic axis."""
    yield words(0, _TIME, f"{_amount(budget)} tokens", "start")
    yield words(WIDTH, _TIME, _duration(run.hours), "end strong")
    yield rect(0, _TIME + 12, f"{max(0.0, min(1.0, log10(run.hours) / 7)):.1%}", 16, fill="currentColor")
    yield rect(0, _TIME + 12, WIDTH, 16)
    for name, hours in _TICKS.items():
        x = WIDTH * log10(hours) / 7
        yield line(x, _TIME + 24, x, _TIME + 32)
        yield words(x, _TIME + 42, name, "start" if hours == 1 else "")


def _amount(number: int) -> str:
    """Write a number of tokens in words.

    >>> _amount(15 * 10**12), _amount(300 * 10**9), _amount(5 * 10**6)
    ('15 trillion', '300 billion', '5,000,000')
    """
    for size, name in (10**12, "trillion"), (10**9, "billion"):
        if number >= size:
            return f"{number / size:g} {name}"
    return f"{number:,}"


def _duration(hours: float) -> str:
    """Write a time with three digits, in hours, days or years.

    >>> _duration(1.234), _duration(523.2), _duration(10**6)
    ('1.23 hours', '21.8 days', '114 years')
    """
    for size, name in (8766, "years"), (24, "days"), (1, "hours"):
        if hours >= size:
            return f"{hours / size:,.{max(0, 2 - int(log10(hours / size)))}f} {name}"
    return si(hours * 3600, "s")


def _said(run: _Run, fixed: Mapping[str, int], price: int) -> str:
    total, capacity = run.rows["All bytes"], run.capacity
    largest = max(_BYTES, key=lambda title: run.rows[title]).removeprefix("Bytes of ")
    times = total / capacity
    said = [
        "It fits:" if total <= capacity else "It does not fit:",
        f"each device holds {si(total, 'B')}, {times:,.{2 if times < 10 else 0}f} times the {si(capacity, 'B')} "
        f"that it has. Most of it is {largest}.",
        f"{_amount(fixed['budget'])} tokens take {_duration(run.hours)} at {fixed['utilization']}% of the peak.",
    ]
    if run.devices > fixed["B"]:
        said.append(f"Only {fixed['B']:,} devices have work: a sequence is not split.")
    if price:
        said.append(f"At ${price} for a device-hour, they cost ${run.devices * run.hours * price:,.0f}.")
    if total > capacity:
        said.append("What would make it fit?")
    return " ".join(said)


def _table(run: _Run) -> Table:
    rows = [(f"{title}, FLOPs", f"{run.rows[title]:,}") for title in _ROWS[:4]]
    rows += [(title, f"{run.rows[title]:,}") for title in (*_BYTES, "All bytes")]
    rows += [("Bytes that a device has", f"{run.capacity:,}"), ("Time of all steps", _duration(run.hours))]
    rows += [("Devices × time", f"{run.devices * run.hours:,.0f} device-hours")]
    return Table(["", "amount"], rows)
