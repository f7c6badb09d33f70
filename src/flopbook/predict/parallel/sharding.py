"""Predict what a rank keeps and sends where ranks share the batch, and shard what they keep.

Each rank runs the whole model on its share of the batch: its FLOPs are those of that share, whatever is sharded. What
differs is who keeps a number between its uses, and how it comes to those who use it.
"""

from collections.abc import Iterable, Sequence
from math import prod
from typing import NamedTuple

from sympy import Expr, Integer

from flopbook.checks import one_of, quoted, several, size
from flopbook.predict.memory import FLOAT32, MIXED, Formats, TrainingMemory, bytes_held
from flopbook.predict.optimizers import OPTIMIZERS, State
from flopbook.predict.parallel.transfers import Transfer
from flopbook.predict.values import number

__all__ = ["Rank", "Unit", "buckets", "data_parallel", "flat_sharded", "fully_sharded", "whole_tensors", "zero"]

Shape = Sequence[int]

_MIB = 2**20


class Rank(NamedTuple):
    """Holds what a rank keeps from step to step, and what it sends in one.

    Attributes
    ----------
    held : TrainingMemory
        Bytes after a step. The activations are left out, as 0: they are those of the rank's share of the batch.
    transfers : tuple of Transfer
        The collectives that it calls in a step.
    """

    held: TrainingMemory
    transfers: tuple[Transfer, ...]

    @property
    def sent(self) -> Expr:
        """Return the bytes that the rank sends in a step where a ring runs its collectives."""
        return sum((transfer.ring for transfer in self.transfers), Integer(0))


class Unit(NamedTuple):
    """Names the parameters that are gathered together, such as those of one block.

    Attributes
    ----------
    shapes : sequence of tuple of int
        The shape of each parameter.
    reshard : bool
        Whether the gathered parameters are let go after the forward pass, to be gathered again in the backward pass.
        PyTorch keeps those of the outermost module, unless it is told otherwise.
    """

    shapes: Sequence[Shape]
    reshard: bool = True


def zero(  # noqa: PLR0913  (as many as can differ)
    stage: int,
    parameters: Expr | int,
    ranks: Expr | int,
    *,
    optimizer: str = "AdamW",
    formats: Formats = MIXED,
    micro_batches: Expr | int = 1,
) -> Rank:
    """Predict what a rank keeps and sends at a stage of ZeRO.

    Parameters
    ----------
    stage : int
        What is sharded: 0 nothing, 1 the optimizer's state, 2 the gradients too, 3 the parameters too.
    parameters : int or sympy.Expr
        How many there are.
    ranks : int or sympy.Expr
        How many share the batch. They divide the parameters; padding is left out, and so are the step counters.
    optimizer : str
        A name in `OPTIMIZERS`.
    formats : Formats
        Bytes of one number of each kind; numbers are sent as they are kept.
    micro_batches : int or sympy.Expr
        How many are accumulated in a step. Where gradients are sharded, each sends its own.

    Raises
    ------
    TypeError, ValueError
        If the stage, the optimizer or a number is not one.

    Notes
    -----
    After Rajbhandari and others, ZeRO: https://arxiv.org/abs/1910.02054.

    Examples
    --------
    >>> from flopbook.predict import N, axis
    >>> d = axis("d")
    >>> [sum(zero(stage, N, d).held) for stage in range(4)]
    [16*N, 4*N + 12*N/d, 2*N + 14*N/d, 16*N/d]
    >>> [zero(stage, N, d).sent.factor() for stage in (0, 3)]
    [4*N*(d - 1)/d, 6*N*(d - 1)/d]
    """
    if size("stage", stage, least=0) > 3:
        raise ValueError(f"stage={stage} is not a stage of ZeRO: write 0, 1, 2 or 3")
    for name, value in (("parameters", parameters), ("ranks", ranks), ("micro_batches", micro_batches)):
        number(name, value, least=1)
    whole = bytes_held(Integer(1) * parameters, 0, Integer(0), _state(optimizer), formats)
    splits = {"parameters": 3, "gradients": 2, "optimizer": 1}
    held = whole._replace(**{kind: getattr(whole, kind) / ranks for kind, first in splits.items() if stage >= first})

    def transfer(collective: str, phase: str, payload: Expr, calls: Expr | int = 1) -> Transfer:
        return Transfer(collective, phase, payload, ranks, calls)

    sent = {
        0: [transfer("all-reduce", "backward", whole.gradients)],
        3: [
            transfer("all-gather", "forward", whole.parameters, micro_batches),
            transfer("all-gather", "backward", whole.parameters, micro_batches),
            transfer("reduce-scatter", "backward", whole.gradients, micro_batches),
        ],
    }.get(
        stage,
        [
            transfer("reduce-scatter", "backward", whole.gradients, micro_batches if stage == 2 else 1),
            transfer("all-gather", "optimizer", whole.parameters),
        ],
    )
    return Rank(held, tuple(sent))


def buckets(sizes: Iterable[int], limit: int = 25 * _MIB, first: int = _MIB) -> list[int]:
    """Put gradients into buckets, as `DistributedDataParallel` does, and return the bytes of each.

    Parameters
    ----------
    sizes : iterable of int
        Bytes of each gradient, in the order in which the backward pass makes them.
    limit, first : int
        A bucket is closed when it holds so many bytes; the first one sooner, so that sending begins early.

    Raises
    ------
    TypeError, ValueError
        If a number is not a whole one of at least 1; quotes it.

    Notes
    -----
    This is so from the second step on. In the first, PyTorch does not know the order yet, and takes one bucket.

    Examples
    --------
    >>> buckets([2**19, 2**20, 2**23, 2**25, 4])
    [1572864, 41943040, 4]
    """
    size("limit", limit)
    size("first", first)
    filled: list[int] = []
    room = 0
    for bytes_ in (size("bytes of a gradient", each) for each in several("sizes", sizes, "[1024, 4096]")):
        if room <= 0:
            filled.append(0)
            room = limit if len(filled) > 1 else first
        filled[-1] += bytes_
        room -= bytes_
    return filled


def data_parallel(  # noqa: PLR0913  (as many as can differ)
    shapes: Iterable[Shape],
    ranks: int,
    *,
    optimizer: str = "AdamW",
    formats: Formats = FLOAT32,
    bucket_bytes: int | None = None,
    micro_batches: int = 1,
    every_micro_batch: bool = True,
) -> Rank:
    """Predict what a rank of `DistributedDataParallel` keeps and sends.

    Parameters
    ----------
    shapes : iterable of tuple of int
        The shape of each parameter, in the order in which the backward pass makes their gradients: the last one first.
    ranks : int
        How many share the batch.
    optimizer : str
        A name in `OPTIMIZERS`.
    formats : Formats
        Bytes of one number of each kind.
    bucket_bytes : int, optional
        A bucket is closed when it holds so many bytes, the first one too; PyTorch's `bucket_cap_mb`, in bytes. Unless
        told, the first one is closed at 1 MiB and others at 25.
    micro_batches : int
        How many are accumulated in a step.
    every_micro_batch : bool
        Whether each of them sends its gradients, as it does without `no_sync`; else the last one does.

    Raises
    ------
    TypeError, ValueError
        If a shape, the optimizer or a number is not one.

    Examples
    --------
    >>> rank = data_parallel([(5,), (5, 7)], ranks=4)
    >>> rank.held
    TrainingMemory(parameters=160, gradients=160, optimizer=328, activations=0)
    >>> rank.transfers
    (Transfer(collective='all-reduce', phase='backward', payload=160, ranks=4, calls=1),)
    """
    counts = _numbers(shapes)
    size("ranks", ranks)
    held = bytes_held(Integer(sum(counts)), len(counts), Integer(0), _state(optimizer), formats)
    calls = size("micro_batches", micro_batches) if every_micro_batch else 1
    limits = [] if bucket_bytes is None else 2 * [size("bucket_bytes", bucket_bytes)]
    filled = buckets((count * formats.gradients for count in counts), *limits)
    return Rank(held, tuple(Transfer("all-reduce", "backward", bytes_, ranks, calls) for bytes_ in filled))


def whole_tensors(
    shapes: Iterable[Shape], ranks: int, rank: int = 0, *, optimizer: str = "AdamW", formats: Formats = FLOAT32
) -> Rank:
    """Predict what a rank keeps and sends with `ZeroRedundancyOptimizer`, which shards nothing but its state.

    Each parameter has one owner, which updates it and sends it to all others. The largest is given away first, each to
    the rank that has the fewest numbers by then.

    Parameters
    ----------
    shapes : iterable of tuple of int
        The shape of each parameter, in the order in which the optimizer gets them.
    ranks, rank : int
        How many there are, and which of them.
    optimizer : str
        A name in `OPTIMIZERS`.
    formats : Formats
        Bytes of one number of each kind.

    Examples
    --------
    >>> shapes = [(7, 5), (7,), (3, 7), (3,)]
    >>> [whole_tensors(shapes, 2, rank).held.optimizer for rank in range(2)]
    [284, 260]
    """
    counts = _numbers(shapes)
    owned: list[list[int]] = [[] for _ in range(size("ranks", ranks))]
    for count in sorted(counts, reverse=True):
        min(owned, key=sum).append(count)
    mine = owned[_rank(rank, ranks)]
    whole = data_parallel([(count,) for count in reversed(counts)], ranks, optimizer=optimizer, formats=formats)
    state = bytes_held(Integer(sum(mine)), len(mine), Integer(0), _state(optimizer), formats).optimizer
    updated = (Transfer("broadcast", "optimizer", count * formats.parameters, ranks) for count in counts)
    return Rank(whole.held._replace(optimizer=state), (*whole.transfers, *updated))


def fully_sharded(  # noqa: PLR0913  (as many as can differ)
    units: Iterable[Unit],
    ranks: int,
    rank: int = 0,
    *,
    replicas: int = 1,
    optimizer: str = "AdamW",
    formats: Formats = FLOAT32,
    gathered: int | None = None,
    reduced: int | None = None,
    micro_batches: int = 1,
    every_micro_batch: bool = True,
) -> Rank:
    """Predict what a rank keeps and sends with FSDP2, PyTorch's `fully_shard`.

    A parameter is cut along its first axis: each of d ranks gets ``ceil(rows / d)`` rows, the last ones fewer or none.
    What is sent is padded to full shares, all parameters of a unit in one call.

    Parameters
    ----------
    units : iterable of Unit
        What each call of `fully_shard` puts together: the parameters of a module that no call inside it has taken.
    ranks, rank : int
        How many share each parameter, and which of them.
    replicas : int
        How many such groups of ranks there are, each with all parameters (HSDP).
    optimizer : str
        A name in `OPTIMIZERS`.
    formats : Formats
        Bytes of one number of each kind, as they are kept.
    gathered, reduced : int, optional
        Bytes of a parameter where it is gathered, and of a gradient where it is summed; as they are kept, unless told.
    micro_batches : int
        How many are accumulated in a step.
    every_micro_batch : bool
        Whether each of them sums its gradients over the ranks; else the last one does, which PyTorch calls
        `set_requires_gradient_sync(False)`. Until then a rank holds gradients of all parameters in full.

    Raises
    ------
    TypeError, ValueError
        If a unit, a shape, the optimizer or a number is not one.

    Examples
    --------
    >>> block = Unit([(7, 5), (7,)])
    >>> rank = fully_sharded([block], ranks=4, rank=3)
    >>> rank.held
    TrainingMemory(parameters=24, gradients=24, optimizer=56, activations=0)
    >>> rank.transfers[0]
    Transfer(collective='all-gather', phase='forward', payload=192, ranks=4, calls=1)
    """
    rank, known = _rank(rank, ranks), _units(units)
    shards = [_share(shape[0], ranks, rank) * prod(shape[1:]) for unit in known for shape in unit.shapes]
    held = bytes_held(Integer(sum(shards)), len(shards), Integer(0), _state(optimizer), formats)
    forms = (
        formats.parameters if gathered is None else size("gathered", gathered),
        formats.gradients if reduced is None else size("reduced", reduced),
    )
    padded = [
        (ranks * sum(_share(shape[0], ranks, 0) * prod(shape[1:]) for shape in unit.shapes), unit.reshard)
        for unit in known
    ]
    return Rank(
        held, tuple(_by_unit(padded, ranks, size("replicas", replicas), forms, micro_batches, every_micro_batch))
    )


def flat_sharded(
    units: Iterable[Unit], ranks: int, *, optimizer: str = "AdamW", formats: Formats = FLOAT32, micro_batches: int = 1
) -> Rank:
    """Predict what a rank keeps and sends with FSDP1, PyTorch's `FullyShardedDataParallel`.

    The parameters of a unit are one flat tensor, padded so that the ranks divide it.

    Parameters
    ----------
    units : iterable of Unit
        The parameters of each wrapped module that none inside it has taken.
    ranks : int
        How many share them; all keep equally much.
    optimizer : str
        A name in `OPTIMIZERS`.
    formats : Formats
        Bytes of one number of each kind.
    micro_batches : int
        How many are accumulated in a step, each of which sends its gradients.

    Notes
    -----
    With `use_orig_params=True` PyTorch also pads between parameters, to 16 bytes; that is left out.

    Examples
    --------
    >>> flat_sharded([Unit([(7, 5), (7,)])], ranks=4).held
    TrainingMemory(parameters=44, gradients=44, optimizer=92, activations=0)
    """
    size("ranks", ranks)
    shares = [(-(-sum(map(prod, unit.shapes)) // ranks), unit.reshard) for unit in _units(units)]
    held = bytes_held(Integer(sum(share for share, _ in shares)), len(shares), Integer(0), _state(optimizer), formats)
    padded = [(ranks * share, reshard) for share, reshard in shares]
    forms = formats.parameters, formats.gradients
    return Rank(held, tuple(_by_unit(padded, ranks, 1, forms, micro_batches, every_micro_batch=True)))


def _by_unit(  # noqa: PLR0913, PLR0917  (what is to be said)
    padded: Sequence[tuple[int, bool]],
    ranks: int,
    replicas: int,
    forms: tuple[Expr | int, Expr | int],
    micro_batches: int,
    every_micro_batch: bool,
) -> Iterable[Transfer]:
    """Gather each unit forward, again backward unless it stayed, and scatter the sums of its gradients."""
    gathered, reduced = forms
    passes = size("micro_batches", micro_batches)
    sums = passes if every_micro_batch else 1
    for numbers, reshard in padded:
        yield Transfer("all-gather", "forward", numbers * gathered, ranks, passes)
        if reshard:
            yield Transfer("all-gather", "backward", numbers * gathered, ranks, passes)
        yield Transfer("reduce-scatter", "backward", numbers * reduced, ranks, sums)
        if replicas > 1:
            yield Transfer("all-reduce", "backward", numbers // ranks * reduced, replicas, sums)


def _state(optimizer: str) -> State:
    return OPTIMIZERS[one_of("optimizer", optimizer, OPTIMIZERS)].state


def _rank(rank: int, ranks: int) -> int:
    if size("rank", rank, least=0) >= size("ranks", ranks):
        raise ValueError(f"rank={rank} is not one of {ranks}: give 0 to {ranks - 1}")
    return rank


def _share(rows: int, ranks: int, rank: int) -> int:
    """Return how many of `rows` a rank gets: full shares, as long as there are any."""
    full = -(-rows // ranks)
    return max(0, min(full, rows - rank * full))


def _numbers(shapes: Iterable[Shape]) -> list[int]:
    return [prod(_shape(shape)) for shape in several("shapes", shapes, "[(7, 5), (7,)]")]


def _shape(shape: object) -> Shape:
    if not isinstance(shape, Sequence) or isinstance(shape, str) or not shape:
        raise TypeError(f"{quoted(shape)} is not a shape: write (7, 5) for a weight of 7 rows, and (7,) for a bias")
    for length in shape:
        size("a length of a shape", length)
    return shape


def _units(units: Iterable[Unit]) -> list[Unit]:
    known = []
    for unit in several("units", units, "[Unit([(7, 5), (7,)])]"):
        if not isinstance(unit, Unit):
            raise TypeError(f"{quoted(unit)} is not a unit: write Unit([(7, 5), (7,)])")
        if not isinstance(unit.reshard, bool):
            raise TypeError(f"reshard={quoted(unit.reshard)} is neither True nor False: give one of them")
        shapes = several("shapes", unit.shapes, "[(7, 5), (7,)]")
        known.append(unit._replace(shapes=[_shape(shape) for shape in shapes]))
    return known
