"""Show a report as text, as HTML that folds, and as JSON."""

from collections.abc import Callable, Iterator
from dataclasses import asdict
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from flopbook.counts import views
from flopbook.counts.breakdown import Cost, Node
from flopbook.counts.views import Choice, Column
from flopbook.tables import Table, Total
from flopbook.units import plain, si

if TYPE_CHECKING:
    from flopbook.measure.report import Report
    from flopbook.measure.report.roofline import Line

#: Name and version of the JSON form; a field that changes its meaning changes the version.
SCHEMA = "flopbook.report/3"


def text(report: "Report", chosen: Choice) -> Iterator[str]:
    """Write the parts of a report as text, with the chosen operators and modules."""
    configured = configuration_rows(report)
    width = max(len(name) for name, _ in configured)
    yield title(report)
    yield "\n".join(f"{name.ljust(width)}  {value}" for name, value in configured)
    tables = (
        flops_table(report),
        views.operator_table(report.counted, chosen),
        roofline_table(report, chosen),
        views.module_table(report.counted.step, columns(report), chosen),
        *views.communication_tables(report.counted),
        *_time_and_memory(report),
    )
    yield from (table.text for table in tables)
    yield "\n".join(notes(report))


def html(report: "Report") -> str:
    """Return the report as HTML for a notebook, where operators and modules fold."""
    return views.html_block(
        Table(("configuration", "value"), configuration_rows(report), title(report)).html,
        flops_table(report).html,
        views.html_folded(report.counted, columns(report)),
        f"<details><summary>Bytes and roofline</summary>{roofline_table(report, Choice()).html}</details>",
        *(table.html for table in _time_and_memory(report)),
        *views.html_lines(notes(report)),
    )


def _time_and_memory(report: "Report") -> list[Table]:
    return [steps_table(report), *([shares_table(report)] if report.shares else []), memory_table(report)]


def title(report: "Report") -> str:
    """Say in one line what was measured."""
    what = "Training step" if "backward" in report.counted.phases else "Forward pass"
    tokens = f", {_many(report.tokens, 'token')}" if report.tokens else ""
    return f"{what} of {report.configuration.model}, {_many(report.samples, 'sample')}{tokens}"


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'s' * (number != 1)}"


def configuration_rows(report: "Report") -> list[tuple[str, str]]:
    """List what was measured, and where, by name."""
    found = report.configuration
    trainable = "all" if report.trainable == report.parameters else f"{report.trainable:,}"
    return [
        ("model", found.model),
        ("parameters", f"{report.parameters:,}, {trainable} trainable"),
        ("types", ", ".join(found.dtypes)),
        ("inputs", ", ".join(found.inputs)),
        ("optimizer", ", ".join(found.optimizers) or "none"),
        ("device", f"{found.device}; {_many(found.threads, 'thread')}"),
        ("torch", found.torch),
    ]


def flops_table(report: "Report") -> Table:
    """Make the table of FLOPs of each phase, beside the rule of thumb."""
    step = report.counted.step
    costs = {phase: step.costs[phase] for phase in report.counted.phases} | {"total": step.cost}
    head = ("FLOPs", "contractions", "rule of thumb", "says", "errs", *views.kinds(report.counted))
    shares = {"a sample": report.flops_per_sample, "a token": report.flops_per_token}
    each = {name: f"{flops:,.1f}".removesuffix(".0") for name, flops in shares.items() if flops is not None}
    rows = [_flops_row(report, phase, cost) for phase, cost in costs.items()]
    rows += [(name, flops, *("" for _ in head[2:])) for name, flops in each.items()]
    return Table(head, rows, "FLOPs of one step")


def _flops_row(report: "Report", phase: str, cost: Cost) -> tuple[str, ...]:
    rule = ("", "", "")
    if formula := report.formulas.get(phase):
        inputs = "tokens" if report.tokens else "batch"
        rule = (f"{formula.factor} x parameters x {inputs}", f"{formula.flops:,}", f"{formula.error:+.1%}")
    return (
        phase,
        f"{cost.contractions:,}",
        *rule,
        *(views.number(getattr(cost, kind)) for kind in views.kinds(report.counted)),
    )


def columns(report: "Report") -> list[Column]:
    """Return the columns of the module tree: a count's, and the forward pass's bytes and seconds."""
    found = [*views.columns(report.counted), *_bytes_columns(report)]
    if not report.latency:
        return found
    whole = max(report.latency.values())

    def latency(node: Node) -> float | None:
        return report.latency.get(node.path)

    def part(node: Node) -> float:
        return report.latency.get(node.path, 0) / whole

    def rate(node: Node) -> float | None:
        seconds = latency(node)
        return node.costs["forward"].contractions / seconds if seconds else None

    return [
        *found,
        Column("latency", latency, lambda seconds: si(seconds, "s")),
        Column("share", part, "{:.1%}".format),
        Column("rate", rate, lambda flop_per_s: si(flop_per_s, "FLOP/s")),
    ]


def _bytes_columns(report: "Report") -> Iterator[Column]:
    """Yield the columns of the forward pass's bytes, and of the seconds that the roof allows for it."""

    def of(field: str) -> Callable[[Node], float | None]:
        return lambda node: getattr(report.modules.get(node.path), field, None)

    yield Column("read", of("read"), lambda size: si(size, "B"))
    yield Column("written", of("written"), lambda size: si(size, "B"))
    yield Column("FLOP/B", of("intensity"), plain)
    if report.roof:
        yield Column("roof", of("allowed_seconds"), lambda seconds: si(seconds, "s"))


def roofline_table(report: "Report", chosen: Choice) -> Table:
    """Make the table of bytes, intensity and seconds of each operator, with the step last."""
    rows = [_roofline_row(line) for line in report.roofline]
    head = ("operator", "FLOPs", "read", "written", "FLOP/B", "roof allows", "took", "reached")
    return Table(
        head, [*chosen.operators(rows), Total(_roofline_row(report.whole))], "Bytes of each operator, in all phases"
    )


def _roofline_row(line: "Line") -> tuple[str, ...]:
    return (
        line.name,
        views.number(line.flops),
        views.number(line.read),
        views.number(line.written),
        "" if line.intensity is None else plain(float(f"{line.intensity:.3g}")),
        "" if line.allowed_seconds is None else si(line.allowed_seconds, "s"),
        "" if line.seconds is None else _time(line.seconds),
        "" if line.reached is None else f"{line.reached:.1%}",
    )


def steps_table(report: "Report") -> Table:
    """Make the table of FLOPs and seconds of one step, and of many."""
    rows = []
    for steps in (1, report.project().steps):
        _, flops, seconds = report.project(steps)
        timed = (_time(seconds), si(flops / seconds, "FLOP/s")) if seconds else ("", "")
        rows.append((f"{steps:,}", f"{flops:,}", *timed))
    return Table(("steps", "FLOPs", "time", "FLOP/s"), rows, "Time")


def _time(seconds: float) -> str:
    """Write seconds as people do: 26.3 ms, or 2:46:00."""
    return si(seconds, "s") if seconds < 60 else str(timedelta(seconds=round(seconds)))


def shares_table(report: "Report") -> Table:
    """Make the table of time and FLOPs of each category of work, under the profiler."""
    found = report.shares.items()
    rows = [(name, f"{share.time:.1%}", f"{share.flops:.1%}", f"{share.calls:,.0f}") for name, share in found]
    return Table(("category", "time", "FLOPs", "calls"), rows, "Where the time goes")


def memory_table(report: "Report") -> Table:
    """Make the table of the bytes that a step holds."""
    known = {name.replace("_", " "): size for name, size in report.memory._asdict().items() if size is not None}
    rows = [(name, f"{size:,}", si(size, "B")) for name, size in known.items()]
    return Table(("memory", "bytes", "rounded"), rows, "Memory")


def notes(report: "Report") -> list[str]:
    """List what a reader has to know of these numbers."""
    cost = report.counted.step.cost
    lines = views.notes(report.counted)
    both = cost.contractions + cost.pointwise
    fused = f"; with what is fused {cost.flops:,}" if cost.fused else ""
    lines.append(f"Contractions and pointwise operators: {both:,} FLOPs{fused}.")
    if report.forward and report.backward:
        lines.append(f"Backward takes {report.backward / report.forward:.4f} times the FLOPs of forward.")
    if report.model_flops != report.total:
        lines.append(
            f"The model needs {report.model_flops:,} of these FLOPs (for MFU); {report.total:,} ran (for HFU)."
        )
    if report.tokens:
        lines.append(
            "The rule of thumb counts each parameter for each token. It leaves out the scores of attention, which have "
            "no parameters, and has too much for what is not multiplied: tables, biases, experts that are not chosen."
        )
    if report.timing:
        spread, steps = report.timing.spread_seconds, report.timing.calls
        threads = _many(report.timing.threads, "thread")
        lines.append(f"Time: the median of {steps} steps on {threads}; the middle half spreads over {_time(spread)}.")
        lines.append("Took: an operator with all that it calls, under the profiler; the step without the profiler.")
        lines.append("Latency: a module's forward pass with all that it holds and the time in between, uncompiled.")
    lines.append(
        "Bytes: each operator reads its tensors and writes its results once; a view moves nothing. "
        "Those of a module are of its forward pass."
    )
    if roof := report.roof:
        peak, bandwidth = si(roof.peak_flop_per_s, "FLOP/s"), si(roof.bytes_per_s, "B/s")
        lines.append(
            f"Roof: {roof.device} in {roof.dtype}, {peak} and {bandwidth}; {roof.source}. It allows an operator FLOPs "
            "over peak or bytes over bandwidth, the longer; what lies in a cache may take less."
        )
    if report.counted.communication:
        lines.append(
            "Ranks: FLOPs, bytes and seconds are of this rank alone, and it may wait between operators. The parameters "
            "of a split model are those of all ranks, in the rule of thumb too."
        )
    lines.append("Activations: what is kept for the backward pass, at its most; after forward: when that pass begins.")
    return lines


def as_dict(report: "Report") -> dict[str, Any]:
    """Return a report as the dictionaries and lists of its JSON form."""
    return {
        "schema": SCHEMA,
        "configuration": asdict(report.configuration),
        "parameters": report.parameters,
        "trainable": report.trainable,
        "samples": report.samples,
        "tokens": report.tokens,
        "model_flops": report.model_flops,
        "flops_per_sample": report.flops_per_sample,
        "flops_per_token": report.flops_per_token,
        "formulas": {phase: formula._asdict() for phase, formula in report.formulas.items()},
        "timing": report.timing and {**report.timing._asdict(), "flop_per_s": report.flop_per_s},
        "latency_seconds": dict(report.latency),
        "roof": report.roof and report.roof._asdict(),
        "work": [part._asdict() for part in report.work],
        "roofline": {
            "step": _line(report.whole),
            "operators": [_line(line) for line in report.roofline],
            "modules": [_line(line) for line in report.modules.values()],
        },
        "memory_bytes": report.memory._asdict(),
        "bytes_over_step": report.held._asdict(),
        "profiled": report.spent
        and {
            "seconds": report.spent.seconds,
            "operators": [row._asdict() for row in report.spent.operators],
            "shares": [{"category": name, **share._asdict()} for name, share in report.shares.items()],
            "bottlenecks": [
                {"category": found.category, "limit": found.limit, "advice": found.advice}
                for found in report.bottlenecks
            ],
        },
        "projection": report.project()._asdict(),
        "counted": views.as_dict(report.counted),
    }


def _line(line: "Line") -> dict[str, Any]:
    return line._asdict() | {"flop_per_byte": line.intensity, "reached": line.reached}
