"""What a measuring witness noted: calls, and the views of them."""

from collections import defaultdict
from typing import NamedTuple

#: The phases of a training step, in the order in which they run.
PHASES = ("forward", "backward", "recomputed", "optimizer")


class Call(NamedTuple):
    """One kind of call: where it ran, what ran, and the FLOPs of each call."""

    phase: str
    module: str
    operator: str
    flops: int
    pointwise: int


class Total(NamedTuple):
    """FLOPs and calls of one operator."""

    flops: int
    calls: int


def times(calls: int) -> str:
    """How often, in words.

    >>> times(1), times(2)
    ('1 call', '2 calls')
    """
    return f"{calls} call" if calls == 1 else f"{calls} calls"


class ModuleTotal(NamedTuple):
    """Parameters of a module with all that it holds, and their FLOPs in each phase."""

    parameters: int
    forward: int
    backward: int
    recomputed: int

    @property
    def flops(self) -> int:
        """FLOPs of all phases."""
        return self.forward + self.backward + self.recomputed

    @property
    def macs(self) -> int:
        """Multiply-accumulates of all phases."""
        return self.flops // 2


class Tally:
    """Calls of operators, with the views that all measuring witnesses share.

    Attributes
    ----------
    forward, backward, recomputed, optimizer : int
        FLOPs of the contractions of each phase.
    total : int
        FLOPs of the contractions of all phases.
    pointwise : dict of str to int
        Pointwise FLOPs of each phase.
    masked : dict of str to int
        FLOPs of each phase that fused causal attention spends on keys after
        their query. They are part of the phase's FLOPs: attention is counted
        dense, and without them it is counted causal.
    by_operator : dict of str to Total
        FLOPs and calls of every operator that contracts, most FLOPs first.
    calls : dict of Call to int
        How often each kind of call ran, in the order in which they first did.
    uncounted : dict of str to int
        Calls of every operator that no rule is known for.
    """

    #: The witness's own word, as it stands over its column of a comparison.
    witness: str

    def __init__(self):
        self._tally: defaultdict[tuple, int] = defaultdict(int)
        self._masked: dict[str, int] = dict.fromkeys(PHASES, 0)
        self._uncounted: defaultdict[str, int] = defaultdict(int)

    def note(self, phase: str, module: str, operator: str, flops: int, pointwise: int):
        """Note one call."""
        self._tally[phase, module, operator, flops, pointwise] += 1

    @property
    def calls(self) -> dict[Call, int]:
        found = {Call(*key): calls for key, calls in self._tally.items()}
        for call in found:
            for flops in (call.flops, call.pointwise):
                if not isinstance(flops, int):  # seen here, so that counting need not look
                    raise TypeError(f"the rule of {call.operator} returned {flops!r}: return its FLOPs, an int")
        return found

    def _flops(self, phase: str) -> int:
        return sum(call.flops * calls for call, calls in self.calls.items() if call.phase == phase)

    @property
    def forward(self) -> int:
        return self._flops("forward")

    @property
    def backward(self) -> int:
        return self._flops("backward")

    @property
    def recomputed(self) -> int:
        return self._flops("recomputed")

    @property
    def optimizer(self) -> int:
        return self._flops("optimizer")

    @property
    def total(self) -> int:
        return sum(call.flops * calls for call, calls in self.calls.items())

    @property
    def pointwise(self) -> dict[str, int]:
        totals = dict.fromkeys(PHASES, 0)
        for call, calls in self.calls.items():
            totals[call.phase] += call.pointwise * calls
        return totals

    @property
    def masked(self) -> dict[str, int]:
        return dict(self._masked)

    @property
    def by_operator(self) -> dict[str, Total]:
        totals: dict[str, Total] = {}
        for call, calls in self.calls.items():
            if call.flops:
                flops, before = totals.get(call.operator, (0, 0))
                totals[call.operator] = Total(flops + call.flops * calls, before + calls)
        return dict(sorted(totals.items(), key=lambda item: -item[1].flops))

    @property
    def uncounted(self) -> dict[str, int]:
        return dict(self._uncounted)

    def __repr__(self):
        phases = (f"{phase} {self._flops(phase):,}" for phase in PHASES if self._flops(phase))
        return f"<{self.witness}: {', '.join(phases) or 'no contraction'}>"
