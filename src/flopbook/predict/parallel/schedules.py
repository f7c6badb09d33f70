"""Predict who runs which micro-batch when in a pipeline, how long ranks wait, and what each keeps and sends.

A pipeline gives each of p ranks some layers, its *stage*, and splits a batch into m micro-batches. With v chunks, a
rank has v stages, and stage s belongs to rank s mod p. A schedule says in which order each rank does its work; from the
times of that work follows the rest.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from operator import add
from typing import NamedTuple

from sympy import Expr

from flopbook import checks
from flopbook.checks import quoted
from flopbook.predict.parallel.transfers import Transfer

__all__ = [
    "BACKWARD", "FORWARD", "INPUT_GRADIENT", "SCHEDULES", "WEIGHT_GRADIENT", "Action", "Event", "Run", "Schedule",
    "gpipe", "interleaved", "one_forward_one_backward", "zero_bubble",
]  # fmt: skip

FORWARD, BACKWARD, INPUT_GRADIENT, WEIGHT_GRADIENT = "forward", "backward", "input gradient", "weight gradient"
_Time = int | Fraction


class Action(NamedTuple):
    """Names one piece of work.

    Attributes
    ----------
    kind : str
        ``forward``, ``backward``, or one of its halves: ``input gradient`` or ``weight gradient``.
    stage : int
        From 0 on.
    micro_batch : int
        From 0 on.
    """

    kind: str
    stage: int
    micro_batch: int


class Event(NamedTuple):
    """Says when a rank does a piece of work."""

    rank: int
    action: Action
    start: _Time
    end: _Time


@dataclass(frozen=True)
class Run:
    """Holds when each rank does what, made by :meth:`Schedule.run`.

    Attributes
    ----------
    events : tuple of Event
        In the order of ranks, and of time.
    ranks : int
        How many ranks there are.
    """

    events: tuple[Event, ...]
    ranks: int

    @property
    def length(self) -> _Time:
        """Return the time from the first start to the last end."""
        return max(event.end for event in self.events)

    def busy(self, rank: int) -> _Time:
        """Return how long a rank works.

        Raises
        ------
        ValueError
            If there is no such rank; quotes it.

        Examples
        --------
        >>> gpipe(4, 4).run().busy(3)
        12
        """
        _one_of_ranks(rank, self.ranks)
        return sum(event.end - event.start for event in self.events if event.rank == rank)

    @property
    def bubble(self) -> Fraction:
        """Return the share of all ranks' time in which they wait.

        Raises
        ------
        ValueError
            If no work takes time.
        """
        if not self.length:
            raise ValueError("the run takes no time, so that no share of it is spent waiting: write a time above 0")
        return 1 - Fraction(sum(self.busy(rank) for rank in range(self.ranks))) / (self.ranks * self.length)


@dataclass(frozen=True)
class Schedule:
    """Says in which order each rank does its work.

    Attributes
    ----------
    orders : tuple of tuple of Action
        The work of each rank, in order.
    micro_batches : int
        How many there are.
    chunks : int
        How many stages each rank has.

    Raises
    ------
    ValueError
        If a rank lacks a piece of work, has one twice, or has one of another rank's stage.
    """

    orders: tuple[tuple[Action, ...], ...]
    micro_batches: int
    chunks: int = 1

    def __post_init__(self):
        checks.size("micro_batches", self.micro_batches)
        checks.size("chunks", self.chunks)
        for rank, order in enumerate(self.orders):
            split = any(action.kind == INPUT_GRADIENT for action in order)
            kinds = (FORWARD, INPUT_GRADIENT, WEIGHT_GRADIENT) if split else (FORWARD, BACKWARD)
            wanted = [
                Action(kind, stage, micro_batch)
                for kind in kinds for stage in self.stages(rank) for micro_batch in range(self.micro_batches)
            ]  # fmt: skip
            if sorted(order) != sorted(wanted):
                off = next(each for each in (*order, *wanted) if order.count(each) != wanted.count(each))
                raise ValueError(
                    f"the order of rank {rank} has {quoted(off)} too often or not at all: give each micro-batch's "
                    f"{', '.join(kinds)} on stage {', '.join(map(str, self.stages(rank)))} once"
                )

    @property
    def ranks(self) -> int:
        """Return how many ranks there are."""
        return len(self.orders)

    def stages(self, rank: int) -> range:
        """Return the stages of a rank.

        Raises
        ------
        ValueError
            If there is no such rank; quotes it.

        Examples
        --------
        >>> list(interleaved(4, 8, chunks=2).stages(1))
        [1, 5]
        """
        return range(_one_of_ranks(rank, self.ranks), self.ranks * self.chunks, self.ranks)

    def run(
        self,
        forward: _Time | Sequence[_Time] = 1,
        input_gradient: _Time | Sequence[_Time] = 1,
        weight_gradient: _Time | Sequence[_Time] = 1,
        sending: _Time = 0,
    ) -> Run:
        """Say when everything happens: each piece of work starts when its rank is free and what it needs is there.

        Parameters
        ----------
        forward, input_gradient, weight_gradient : int, Fraction, or a sequence of them
            Time that a stage takes for a micro-batch, in any unit; of each stage, if they differ. A whole backward
            pass takes both gradients' time.
        sending : int or Fraction
            Time from the end of the work on one rank to the moment when another has its result.

        Raises
        ------
        TypeError, ValueError
            If a time is missing, is not exact, or is below 0, or a rank waits for what never comes.

        Examples
        --------
        >>> run = gpipe(4, 4).run()
        >>> run.length, run.bubble
        (21, Fraction(3, 7))
        """
        stages = self.ranks * self.chunks
        halves = [_times(name, given, stages) for name, given in (
            ("input_gradient", input_gradient), ("weight_gradient", weight_gradient))]  # fmt: skip
        times = {
            FORWARD: _times("forward", forward, stages),
            BACKWARD: list(map(add, *halves)),
            INPUT_GRADIENT: halves[0],
            WEIGHT_GRADIENT: halves[1],
        }
        delay = _time("sending", sending)
        ended: dict[Action, _Time] = {}
        events: list[list[Event]] = [[] for _ in self.orders]
        while unfinished := [rank for rank in range(self.ranks) if len(events[rank]) < len(self.orders[rank])]:
            before = len(ended)
            for rank in unfinished:
                lane = events[rank]
                for action in self.orders[rank][len(lane) :]:
                    needs = self._needs(action)
                    if any(each not in ended for each in needs):
                        break
                    start = lane[-1].end if lane else 0
                    for each in needs:
                        elsewhere = (each.stage - action.stage) % self.ranks != 0
                        start = max(start, ended[each] + delay * elsewhere)
                    end = start + times[action.kind][action.stage]
                    lane.append(Event(rank, action, start, end))
                    ended[action] = end
            if len(ended) == before:
                waiting = self.orders[unfinished[0]][len(events[unfinished[0]])]
                raise ValueError(f"rank {unfinished[0]} waits for ever before {quoted(waiting)}: give another order")
        return Run(tuple(event for lane in events for event in lane), self.ranks)

    def _needs(self, action: Action) -> list[Action]:
        """Return the work whose result a piece of work needs."""
        kind, stage, micro_batch = action
        if kind == FORWARD:
            return [Action(FORWARD, stage - 1, micro_batch)] if stage else []
        if kind == WEIGHT_GRADIENT:
            return [Action(INPUT_GRADIENT, stage, micro_batch)]
        if stage == self.ranks * self.chunks - 1:
            return [Action(FORWARD, stage, micro_batch)]
        return [Action(kind, stage + 1, micro_batch)]

    def in_flight(self, rank: int) -> int:
        """Count the forward passes that a rank keeps at the most: each until its weights have their gradient.

        Raises
        ------
        ValueError
            If there is no such rank; quotes it.

        Examples
        --------
        >>> [gpipe(4, 8).in_flight(0), *(one_forward_one_backward(4, 8).in_flight(rank) for rank in range(4))]
        [8, 4, 3, 2, 1]
        """
        now = most = 0
        for action in self.orders[_one_of_ranks(rank, self.ranks)]:
            now += (action.kind == FORWARD) - (action.kind in {BACKWARD, WEIGHT_GRADIENT})
            most = max(most, now)
        return most

    def transfers(self, rank: int, payload: Expr | int) -> list[Transfer]:
        """List what a rank sends and receives in a step.

        Every two neighbouring stages on different ranks send `payload` bytes forward for each micro-batch, and as many
        backward: a gradient has the size of what it belongs to.

        Parameters
        ----------
        rank : int
            From 0 on.
        payload : int or sympy.Expr
            Bytes of what one stage gives to the next for one micro-batch, such as ``2 * B * T * D`` in 16 bits.

        Raises
        ------
        ValueError
            If there is no such rank; quotes it.

        Examples
        --------
        >>> [each.collective for each in gpipe(4, 8).transfers(0, 1024)]
        ['send', 'receive']
        """
        last = self.ranks * self.chunks - 1
        behind = sum(stage < last for stage in self.stages(rank)) * (self.ranks > 1)
        before = sum(stage > 0 for stage in self.stages(rank)) * (self.ranks > 1)
        ways = (
            ("send", FORWARD, behind), ("receive", BACKWARD, behind),
            ("receive", FORWARD, before), ("send", BACKWARD, before),
        )  # fmt: skip
        return [
            Transfer(collective, phase, payload, self.ranks, calls=self.micro_batches * boundaries)
            for collective, phase, boundaries in ways
            if boundaries
        ]


def _one_of_ranks(rank: object, ranks: int) -> int:
    """Return a rank, and refuse what is none of them."""
    place = checks.size("rank", rank, least=0)
    if place >= ranks:
        raise ValueError(f"rank={quoted(rank)} is not one of {ranks}: give 0 to {ranks - 1}")
    return place


def _times(name: str, given: object, stages: int) -> list[_Time]:
    if isinstance(given, Sequence) and not isinstance(given, str):
        if len(given) != stages:
            raise ValueError(f"{name}={quoted(given)} has {len(given)} times: give one for each of {stages} stages")
        return [_time(name, each) for each in given]
    return [_time(name, given)] * stages


def _time(name: str, given: object) -> _Time:
    if not isinstance(given, (int, Fraction)) or isinstance(given, bool):
        raise TypeError(f"{name}={quoted(given)} is not an exact time: write a whole number or a Fraction")
    if given < 0:
        raise ValueError(f"{name}={quoted(given)} is below 0: write a time of at least 0")
    return given


def gpipe(ranks: int, micro_batches: int) -> Schedule:
    """Run all forward passes first, then all backward passes.

    Notes
    -----
    Huang and others, *GPipe: Efficient Training of Giant Neural Networks using Pipeline Parallelism* (2019).

    Examples
    --------
    >>> gpipe(2, 5).run().bubble
    Fraction(1, 6)
    """
    p, m = checks.size("ranks", ranks), checks.size("micro_batches", micro_batches)
    orders = (tuple(Action(kind, rank, i) for kind in (FORWARD, BACKWARD) for i in range(m)) for rank in range(p))
    return Schedule(tuple(orders), m)


def one_forward_one_backward(ranks: int, micro_batches: int) -> Schedule:
    """Begin with just enough forward passes to stay busy, then run a forward and a backward in turn: 1F1B.

    Notes
    -----
    Narayanan and others, *Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM* (2021),
    section 2.2, who call it PipeDream-Flush.

    Examples
    --------
    >>> [action.kind[0] for action in one_forward_one_backward(3, 4).orders[1]]
    ['f', 'f', 'b', 'f', 'b', 'f', 'b', 'b']
    """
    return interleaved(ranks, micro_batches, chunks=1)


def interleaved(ranks: int, micro_batches: int, chunks: int = 2) -> Schedule:
    """Give each rank several stages, and run 1F1B through all of them: interleaved 1F1B.

    Parameters
    ----------
    ranks, micro_batches : int
        With more than one chunk, the ranks have to divide the micro-batches.
    chunks : int
        Stages of each rank.

    Raises
    ------
    ValueError
        If a number is not a whole one of at least 1, or the ranks do not divide the micro-batches.

    Notes
    -----
    Narayanan and others, *Efficient Large-Scale Language Model Training on GPU Clusters Using Megatron-LM* (2021),
    section 2.2.2.

    Examples
    --------
    >>> interleaved(4, 8).run().bubble, interleaved(4, 8, chunks=4).run().bubble
    (Fraction(3, 19), Fraction(3, 35))
    """
    p, m, v = (
        checks.size(name, given)
        for name, given in (("ranks", ranks), ("micro_batches", micro_batches), ("chunks", chunks))
    )
    if v > 1 and m % p:
        raise ValueError(f"micro_batches={m} in {v} chunks on {p} ranks leave a gap: give a multiple of {p}")
    return Schedule(tuple(tuple(_in_turn(rank, p, m, v)) for rank in range(p)), m, v)


def _in_turn(rank: int, p: int, m: int, v: int) -> Iterator[Action]:
    """Yield a rank's work: some forward passes, then forward and backward in turn, then the backward passes left."""
    forward = [Action(FORWARD, chunk * p + rank, i) for chunk, i in _rounds(p, m, v)]
    backward = [Action(BACKWARD, (v - 1 - chunk) * p + rank, i) for chunk, i in _rounds(p, m, v)]
    first = min(v * m, (p - 1 - rank) * (1 if v == 1 else 2) + (v - 1) * p)
    yield from forward[:first]
    for one, other in zip(forward[first:], backward, strict=False):
        yield from (one, other)
    yield from backward[v * m - first :]


def _rounds(p: int, m: int, v: int) -> list[tuple[int, int]]:
    """List chunk and micro-batch of each pass: as many micro-batches as ranks go through all chunks, then the next."""
    size = p if v > 1 else m
    return [(chunk, i) for start in range(0, m, size) for chunk in range(v) for i in range(start, start + size)]


def zero_bubble(ranks: int, micro_batches: int) -> Schedule:
    """Split each backward pass, and let gradients of weights wait for a moment in which there is nothing else: ZB-H1.

    A rank keeps no more than the first rank does in 1F1B: as many micro-batches as there are ranks.

    Notes
    -----
    Qi and others, *Zero Bubble Pipeline Parallelism* (2023), section 2.1.

    Examples
    --------
    >>> zero_bubble(4, 8).run().bubble
    Fraction(1, 9)
    """
    p, m = checks.size("ranks", ranks), checks.size("micro_batches", micro_batches)
    orders = []
    for rank in range(p):
        first, late = min(m, p - 1 - rank), rank  # rank r lets r gradients of weights wait
        order = [Action(FORWARD, rank, i) for i in range(first)]
        for i in range(m):
            if first + i < m:
                order.append(Action(FORWARD, rank, first + i))
            order.append(Action(INPUT_GRADIENT, rank, i))
            if i >= late:
                order.append(Action(WEIGHT_GRADIENT, rank, i - late))
        order += [Action(WEIGHT_GRADIENT, rank, i) for i in range(max(0, m - late), m)]
        orders.append(tuple(order))
    return Schedule(tuple(orders), m)


#: How to make each schedule, by its name. The interleaved one has 2 chunks.
SCHEDULES = {
    "GPipe": gpipe,
    "1F1B": one_forward_one_backward,
    "interleaved 1F1B": interleaved,
    "zero bubble": zero_bubble,
}
