"""Draw what a mesh makes of a step: the bytes of a rank against its memory, and the seconds of the step."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from itertools import accumulate, pairwise

from flopbook.drawing.controls import Choice, Slider
from flopbook.drawing.picture import Frame, Picture
from flopbook.drawing.svg import WIDTH, line, rect, words
from flopbook.predict.parallel.planning import Cluster, Planned, plan
from flopbook.predict.parallel.ranks import Mesh, RankOfMesh, Training
from flopbook.tables import Table
from flopbook.units import plain, si

_MEMORY, _TIME = 12.0, 96.0  # where the two bars begin
_KINDS = ("parameters", "gradients", "optimizer", "activations")
_COLUMNS = (0.0, 0.31, 0.62, 1.0)
_CHECKPOINTS = ("none", "selective", "full")


def steps_on_meshes(  # noqa: PLR0913, PLR0917  (as many as can differ)
    sizes: Mapping[str, int],
    devices: int,
    tensor: Sequence[int] = (1, 2, 4, 8),
    pipeline: Sequence[int] = (1, 4, 8, 16, 32),
    chunks: int = 1,
    device: str = "H100 SXM",
) -> Picture:
    """Draw the memory of a rank and the time of a step of a decoder, for meshes that a reader chooses.

    The numbers are those of `flopbook.predict.parallel.planning.plan`, for the fullest rank.

    Parameters
    ----------
    sizes : mapping of str to int
        As for `flopbook.predict.parallel.ranks.rank_of_mesh`.
    devices : int
        How many there are.
    tensor, pipeline : sequence of int
        How many of them may share a layer, and the layers; what is left holds copies.
    chunks : int
        Pieces of the model that a stage holds at the most, where the schedule can interleave.
    device : str
        A name in `flopbook.devices.DEVICES`.

    Examples
    --------
    >>> from flopbook.predict.models import PUBLISHED
    >>> picture = steps_on_meshes(PUBLISHED["Llama 3 405B"] | dict(B=2048), 16384, chunks=8)
    >>> print(picture.frame(tensor=8, pipeline=16, checkpoints="selective").sentence)
    128 copies of 128 devices. It fits: the fullest rank holds 64.1 GB of 80.0 GB, most of it activations. A step \
takes 3.87 s: 71.0% of it products, 18.6% waiting for others' parts, 10.3% bubble.
    """
    found = _plans(sizes, devices, chunks, device)

    def draw(tensor: int, pipeline: int, checkpoints: str) -> Frame:
        copies, left = divmod(devices, tensor * pipeline)
        if left:
            raise ValueError(f"{tensor * pipeline} does not divide {devices} devices: give other sizes of the mesh")
        head = f"{copies:,} copies of {tensor * pipeline:,} devices."
        if sizes["B"] % copies:
            said = f"{head} That cannot be: a step has {sizes['B']:,} sequences, which they cannot share."
            nothing = words(0, _MEMORY, "No step on this mesh", "start strong")
            return Frame([nothing], said, Table(["", "amount"], [("Copies", f"{copies:,}")]))
        one = found(tensor, pipeline, checkpoints)
        fullest = max(one.ranks, key=lambda rank: rank.held.total)
        return Frame([*_memory(one, fullest), *_time(one)], f"{head} {_said(one, fullest)}", _table(one, fullest))

    controls = [
        Slider("tensor", "t, devices that share each layer", list(tensor)),
        Slider("pipeline", "p, stages of the pipeline", list(pipeline), start=pipeline[-1]),
        Choice("checkpoints", "Checkpoints", list(_CHECKPOINTS)),
    ]
    return Picture("mesh", "A step on a mesh of devices", _TIME + 66, draw, controls)


def _plans(sizes: Mapping[str, int], devices: int, chunks: int, device: str) -> Callable[..., Planned]:
    """Return a function from a state to its plan."""

    @cache
    def found(tensor: int, pipeline: int, checkpoints: str) -> Planned:
        mesh = Mesh(data=devices // (tensor * pipeline), tensor=tensor, pipeline=pipeline)
        m = sizes["B"] // mesh.data
        pieces = max(1, min(chunks, (sizes["L"] + 2) // pipeline)) if pipeline > 1 and m % pipeline == 0 else 1
        return plan(sizes, mesh, Cluster(devices, device), Training(checkpoints=checkpoints, chunks=pieces))

    return found


def _memory(one: Planned, rank: RankOfMesh) -> Iterator[str]:
    """Draw the bytes of the fullest rank, hatched where they exceed what it has."""
    capacity, whole = one.cluster.memory, max(one.memory, one.cluster.memory * 1.25)
    yield words(0, _MEMORY, "Bytes of the fullest rank", "start")
    yield words(WIDTH, _MEMORY, f"{si(one.memory, 'B')} of {si(capacity, 'B')}", "end strong")
    for left, right in pairwise(accumulate(map(int, rank.held), initial=0)):
        yield rect(f"{left / whole:.1%}", _MEMORY + 14, f"{(right - left) / whole:.1%}", 16, "bytes")
    limit, end = (f"{amount / whole:.1%}" for amount in (capacity, max(one.memory, capacity)))
    yield line(limit, _MEMORY + 22, end, _MEMORY + 22, stroke_width=16, stroke_dasharray="1.5 4")
    yield line(limit, _MEMORY + 9, limit, _MEMORY + 35, stroke_width=3)
    yield from _columns(_MEMORY + 44, _KINDS, [si(int(amount), "B") for amount in rank.held])


def _times(one: Planned) -> dict[str, float]:
    return {"products": one.compute, "waits for parts": sum(one.exposed.values()), "bubble": one.waiting}


def _time(one: Planned) -> Iterator[str]:
    """Draw the seconds of a step: products, collectives that nothing hides, and the bubble."""
    yield words(0, _TIME, "One step", "start")
    yield words(WIDTH, _TIME, f"{one.seconds:.3g} s, MFU {one.mfu:.1%}", "end strong")
    times = _times(one)
    edges = pairwise(accumulate(times.values(), initial=0.0))
    for (left, right), look in zip(edges, ("forward", "bytes", "left-out"), strict=True):
        if right > left:
            yield rect(f"{left / one.seconds:.1%}", _TIME + 14, f"{(right - left) / one.seconds:.1%}", 16, look)
    hidden = sum(one.hidden.values())
    amounts = [si(seconds, "s") if seconds else "0 s" for seconds in (*times.values(), hidden)]
    yield from _columns(_TIME + 44, [*times, "hidden"], amounts)


def _columns(y: float, names: Sequence[str], amounts: Sequence[str]) -> Iterator[str]:
    """Write names with an amount below each, from the left edge to the right."""
    for at, (name, amount) in enumerate(zip(names, amounts, strict=True)):
        side = ("start", "start", "start", "end")[at]
        yield words(WIDTH * _COLUMNS[at], y, name, side)
        yield words(WIDTH * _COLUMNS[at], y + 15, amount, side)


def _said(one: Planned, rank: RankOfMesh) -> str:
    largest = max(_KINDS, key=lambda kind: getattr(rank.held, kind))
    fits = "It does not fit" if one.short else "It fits"
    shares = [f"{seconds / one.seconds:.1%}" for seconds in _times(one).values()]
    of_products = "products, some of them run again" if rank.recomputed else "products"
    return (
        f"{fits}: the fullest rank holds {si(one.memory, 'B')} of {si(one.cluster.memory, 'B')}, most of it "
        f"{largest.replace('optimizer', 'optimizer state')}. A step takes {one.seconds:.3g} s: {shares[0]} of it "
        f"{of_products}, {shares[1]} waiting for others' parts, {shares[2]} bubble."
    )


def _table(one: Planned, rank: RankOfMesh) -> Table:
    rows = [(f"Bytes of {kind}", f"{int(getattr(rank.held, kind)):,}") for kind in _KINDS]
    rows += [
        ("All bytes", f"{one.memory:,}"),
        ("Blocks of the stage", f"{rank.layers}"),
        ("Micro-batches", f"{rank.micro_batches}"),
        ("Chunks of a stage", f"{one.training.chunks}"),
        ("FLOPs of the rank", f"{rank.forward + rank.backward + rank.recomputed:,}"),
    ]
    for axis in ("tensor", "pipeline", "data"):
        sent = sum(int(transfer.ring) for transfer in rank.transfers.get(axis, ()))
        rows += [(f"Bytes sent along {axis}", f"{sent:,}")]
    rows += [("Bubble, of the time", f"{plain(100 * one.bubble)}%")]
    return Table(["", "amount"], rows)
