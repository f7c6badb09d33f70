"""Tally the calls of operators that a measurement saw, and add them up."""

from collections import defaultdict
from typing import Any, NamedTuple

from flopbook.counts.communication import Sent, Transfer

#: The phases of a training step, in the order in which they run.
PHASES = ("forward", "backward", "recomputed", "optimizer")


class Call(NamedTuple):
    """Describes one kind of call: where it ran, what ran, and what it costs.

    Attributes
    ----------
    phase : str
        One of `PHASES`.
    module : str
        Path of the module; empty outside of all modules.
    operator : str
        Such as ``aten::mm``.
    flops : int
        FLOPs of its contraction.
    pointwise : int
        FLOPs of its pointwise arithmetic.
    transcendental : int
        The part of `pointwise` that is exponentials, logarithms, roots and
        the like.
    integer : int
        Operations on integers, which are not FLOPs.
    """

    phase: str
    module: str
    operator: str
    flops: int
    pointwise: int = 0
    transcendental: int = 0
    integer: int = 0


class Total(NamedTuple):
    """Holds the FLOPs and the calls of one operator."""

    flops: int
    calls: int


def times(calls: int) -> str:
    """Say in words how many calls there were.

    >>> times(1), times(2)
    ('1 call', '2 calls')
    """
    return f"{calls} call" if calls == 1 else f"{calls} calls"


def _whole(cost: Any, operator: str) -> int:
    """Read a rule's result, late, so that counting never waits for a device."""
    value = cost.item() if hasattr(cost, "item") else cost
    if not isinstance(value, int) or value < 0:
        raise TypeError(f"the rule of {operator} returned {cost!r}: return its FLOPs, an int of at least 0")
    return value


class Tally:
    """Collects the calls of operators and adds up their FLOPs.

    Attributes
    ----------
    forward, backward, recomputed, optimizer : int
        FLOPs of the contractions of each phase. What runs neither in the
        backward pass nor in an optimizer is forward; recomputed is what a
        checkpoint runs again. Most optimizers contract nothing.
    total : int
        FLOPs of the contractions of all phases: hardware FLOPs.
    model_flops : int
        FLOPs of forward and backward contractions, without `remade`.
    needed : int
        The total without `masked`.
    pointwise, transcendental : dict of str to int
        Pointwise FLOPs of each phase, and the part of them that is
        exponentials, logarithms, roots and the like.
    integer : dict of str to int
        Operations on integers of each phase. They are not FLOPs.
    masked : dict of str to int
        FLOPs of each phase that attention spends on pairs of query and key
        that its mask leaves out. They are part of the phase's FLOPs:
        attention is counted dense.
    masked_unknown : dict of str to int
        Calls of each operator whose mask could not be read. Its pairs count
        as needed.
    remade : dict of str to int
        FLOPs of each phase that fused kernels spend on computing the scores of
        the forward pass again. They are part of the phase's FLOPs.
    by_operator : dict of str to Total
        FLOPs and calls of each operator that contracts, most FLOPs first.
    calls : dict of Call to int
        How often each kind of call ran, in the order of their first calls.
    communication : dict of Transfer to Sent
        Calls and bytes of each collective in each phase and module, in the order of their first calls.
    by_collective : dict of str to Sent
        Calls and bytes of each collective, most bytes first.
    uncounted : dict of str to int
        Calls of each operator without a rule.
    """

    #: The witness's name, which is the heading of its column in a comparison.
    witness: str

    def __init__(self):
        self._tally: defaultdict[tuple, int] = defaultdict(int)
        self._masked: dict[str, int] = dict.fromkeys(PHASES, 0)
        self._unread: list[tuple[dict[str, int], str, Any]] = []
        self._masked_unknown: defaultdict[str, int] = defaultdict(int)
        self._remade: dict[str, int] = dict.fromkeys(PHASES, 0)
        self._uncounted: defaultdict[str, int] = defaultdict(int)
        self._carried: defaultdict[tuple[Transfer, int, int], int] = defaultdict(int)

    def note(self, *call: Any):
        """Note one call, given by the fields of a `Call`."""
        self._tally[Call(*call)] += 1

    def note_communication(self, transfer: Transfer, payload: int, ring: int):
        """Note one call of a collective: the bytes of its tensors, and those that this rank sends in a ring."""
        self._carried[transfer, payload, ring] += 1

    def note_masked(self, phase: str, operator: str, flops: Any):
        """Note the FLOPs of one call on masked pairs; None stands for an unknown mask.

        FLOPs may be an int or a tensor that holds one. A tensor is read only when `masked` is read, so that
        counting never waits for a device.
        """
        if flops is None:
            self._masked_unknown[operator] += 1
        else:
            self._add(self._masked, phase, flops)

    def note_remade(self, phase: str, flops: Any):
        """Note the FLOPs of one call that computes scores again, as :meth:`note_masked` does."""
        self._add(self._remade, phase, flops)

    def _add(self, totals: dict[str, int], phase: str, flops: Any):
        if isinstance(flops, int):
            totals[phase] += flops
        else:
            self._unread.append((totals, phase, flops))

    def _read(self):
        while self._unread:
            totals, phase, flops = self._unread.pop()
            totals[phase] += int(flops)

    def absorb(self, other: "Tally") -> None:
        """Add the calls of another tally."""
        for call, calls in other._tally.items():
            self._tally[call] += calls
        for carried, calls in other._carried.items():
            self._carried[carried] += calls
        mine = {id(other._masked): self._masked, id(other._remade): self._remade}
        self._unread += [(mine[id(totals)], phase, flops) for totals, phase, flops in other._unread]
        for ours, theirs in (
            (self._masked, other._masked),
            (self._masked_unknown, other._masked_unknown),
            (self._remade, other._remade),
            (self._uncounted, other._uncounted),
        ):
            for name, number in theirs.items():
                ours[name] += number

    @property
    def calls(self) -> dict[Call, int]:
        found: defaultdict[Call, int] = defaultdict(int)
        for (phase, module, operator, *costs), calls in self._tally.items():
            found[Call(phase, module, operator, *(_whole(cost, operator) for cost in costs))] += calls
        return dict(found)

    def _by_phase(self, kind: str) -> dict[str, int]:
        """Add up one field of the calls, such as `flops`, in each phase."""
        totals = dict.fromkeys(PHASES, 0)
        for call, calls in self.calls.items():
            totals[call.phase] += getattr(call, kind) * calls
        return totals

    @property
    def forward(self) -> int:
        return self._by_phase("flops")["forward"]

    @property
    def backward(self) -> int:
        return self._by_phase("flops")["backward"]

    @property
    def recomputed(self) -> int:
        return self._by_phase("flops")["recomputed"]

    @property
    def optimizer(self) -> int:
        return self._by_phase("flops")["optimizer"]

    @property
    def total(self) -> int:
        return sum(self._by_phase("flops").values())

    @property
    def model_flops(self) -> int:
        return self.forward + self.backward - self.remade["forward"] - self.remade["backward"]

    @property
    def needed(self) -> int:
        return self.total - sum(self.masked.values())

    @property
    def pointwise(self) -> dict[str, int]:
        return self._by_phase("pointwise")

    @property
    def transcendental(self) -> dict[str, int]:
        return self._by_phase("transcendental")

    @property
    def integer(self) -> dict[str, int]:
        return self._by_phase("integer")

    @property
    def masked(self) -> dict[str, int]:
        self._read()
        return dict(self._masked)

    @property
    def masked_unknown(self) -> dict[str, int]:
        return dict(self._masked_unknown)

    @property
    def remade(self) -> dict[str, int]:
        self._read()
        return dict(self._remade)

    @property
    def by_operator(self) -> dict[str, Total]:
        totals: dict[str, Total] = {}
        for call, calls in self.calls.items():
            if call.flops:
                flops, before = totals.get(call.operator, (0, 0))
                totals[call.operator] = Total(flops + call.flops * calls, before + calls)
        return dict(sorted(totals.items(), key=lambda item: -item[1].flops))

    @property
    def communication(self) -> dict[Transfer, Sent]:
        found: defaultdict[Transfer, list[Sent]] = defaultdict(list)
        for (transfer, payload, ring), calls in self._carried.items():
            found[transfer].append(Sent(calls, calls * payload, calls * ring))
        return {transfer: Sent.sum(several) for transfer, several in found.items()}

    @property
    def by_collective(self) -> dict[str, Sent]:
        found: defaultdict[str, list[Sent]] = defaultdict(list)
        for transfer, sent in self.communication.items():
            found[transfer.collective].append(sent)
        sums = {collective: Sent.sum(several) for collective, several in found.items()}
        return dict(sorted(sums.items(), key=lambda item: -item[1].payload))

    @property
    def uncounted(self) -> dict[str, int]:
        return dict(self._uncounted)

    def __repr__(self):
        said = [f"{phase} {flops:,}" for phase, flops in self._by_phase("flops").items() if flops] or ["no contraction"]
        if integer := sum(self.integer.values()):
            said.append(f"{integer:,} operations on integers")
        return f"<{self.witness}: {', '.join(said)}>"
