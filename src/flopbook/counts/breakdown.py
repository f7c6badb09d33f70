"""Break a count down into a tree of modules and a list of operators."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from flopbook.counts.communication import Sent, Transfer
from flopbook.counts.tally import PHASES, Call, Tally


class Cost(NamedTuple):
    """Holds FLOPs of three kinds, and operations on integers, which are not FLOPs.

    Attributes
    ----------
    contractions : int
        Matrix products, convolutions, attention.
    pointwise : int
        Pointwise operators.
    fused : int
        Pointwise arithmetic that the operator of a contraction does as well,
        such as adding a bias or a softmax.
    transcendental : int
        The part of `pointwise` and `fused` that is exponentials, logarithms,
        roots and the like.
    integer : int
        Operations on integers.
    """

    contractions: int = 0
    pointwise: int = 0
    fused: int = 0
    transcendental: int = 0
    integer: int = 0

    @property
    def flops(self) -> int:
        """Add up the FLOPs of all kinds."""
        return self.contractions + self.pointwise + self.fused

    @classmethod
    def of(cls, call: Call, calls: int) -> "Cost":
        """Return the cost of a number of equal calls."""
        contracts = call.flops or call.integer
        pointwise, fused = (0, call.pointwise) if contracts else (call.pointwise, 0)
        kinds = (call.flops, pointwise, fused, call.transcendental, call.integer)
        return cls(*(calls * each for each in kinds))

    @classmethod
    def sum(cls, costs: Iterable["Cost"]) -> "Cost":
        """Add up each kind of cost.

        Examples
        --------
        >>> Cost.sum([Cost(1280, 0, 40), Cost(0, 128), Cost(0, 256)])
        Cost(contractions=1280, pointwise=384, fused=40, transcendental=0, integer=0)
        """
        kinds = zip(*costs, strict=True)
        return cls(*map(sum, kinds))


@dataclass(frozen=True)
class Node:
    """Describes one module with all that it holds; the root is the whole step.

    Attributes
    ----------
    path : str
        Such as ``GPT.blocks.0``; empty for the step.
    kind : str
        The module's class; empty for the step.
    parameters : int
        Number of parameters; a shared one counts once.
    costs : dict of str to Cost
        The cost of each phase.
    children : tuple of Node
        The modules that this one holds.
    """

    path: str
    kind: str
    parameters: int
    costs: Mapping[str, Cost]
    children: tuple["Node", ...]

    @property
    def title(self) -> str:
        """Return the last part of the path, with the class unless it is the same."""
        name = self.path.rpartition(".")[2] or "step"
        return name if self.kind in ("", name) else f"{name} {self.kind}"

    @property
    def cost(self) -> Cost:
        """Add up the cost of all phases."""
        return Cost.sum(self.costs.values())

    @property
    def forward(self) -> int:
        """Return the FLOPs of the contractions of the forward pass."""
        return self.costs["forward"].contractions

    @property
    def backward(self) -> int:
        """Return the FLOPs of the contractions of the backward pass."""
        return self.costs["backward"].contractions

    @property
    def recomputed(self) -> int:
        """Return the FLOPs of the contractions that ran again."""
        return self.costs["recomputed"].contractions

    @property
    def optimizer(self) -> int:
        """Return the FLOPs of the contractions of optimizers."""
        return self.costs["optimizer"].contractions

    @property
    def flops(self) -> int:
        """Return the FLOPs of the contractions of all phases."""
        return self.cost.contractions

    @property
    def macs(self) -> int:
        """Return the multiply-accumulates of all phases."""
        return self.flops // 2

    def walk(self, depth: int | None = None, level: int = 0) -> Iterator[tuple[int, "Node"]]:
        """Yield this node and all below it, each with its level, down to `depth` levels.

        Raises
        ------
        ValueError
            If the depth is not a number of levels.
        """
        if depth is not None and (not isinstance(depth, int) or isinstance(depth, bool) or depth < 0):
            raise ValueError(f"depth={depth!r}: give how many levels to go down, 0 or more")
        yield level, self
        if depth is None or level < depth:
            for child in self.children:
                yield from child.walk(depth, level + 1)


class OperatorCost(NamedTuple):
    """Holds the calls and the cost of one operator in one phase."""

    phase: str
    operator: str
    calls: int
    cost: Cost


@dataclass(frozen=True)
class Breakdown:
    """Holds one count as plain data, without any module or tensor.

    Attributes
    ----------
    witness : str
        The witness's name, such as ``counted``.
    step : Node
        The tree of modules; its root is the whole step.
    operators : tuple of OperatorCost
        Calls and cost of each operator in each phase, most FLOPs first.
    masked : dict of str to int
        FLOPs of each phase that attention spends on pairs that its mask leaves out.
    masked_unknown : dict of str to int
        Calls of each operator whose mask could not be read.
    remade : dict of str to int
        FLOPs of each phase that fused kernels spend on computing scores again.
    uncounted : dict of str to int
        Calls of each operator without a rule.
    communication : dict of Transfer to Sent
        Calls and bytes of each collective in each phase and module.
    """

    witness: str
    step: Node
    operators: tuple[OperatorCost, ...]
    masked: Mapping[str, int]
    masked_unknown: Mapping[str, int]
    remade: Mapping[str, int]
    uncounted: Mapping[str, int]
    communication: Mapping[Transfer, Sent]

    @property
    def phases(self) -> tuple[str, ...]:
        """Return the phases in which anything was counted."""
        return tuple(phase for phase in PHASES if any(self.step.costs[phase]))


def break_down(tally: Tally, kinds: Mapping[str, str], parameters: Mapping[str, int]) -> Breakdown:
    """Break a count down by module and by operator.

    Parameters
    ----------
    tally : Tally
        The calls that were counted.
    kinds : dict of str to str
        Class of each module, by path.
    parameters : dict of str to int
        Parameters of each module, by path; of all modules together for the empty path.

    Returns
    -------
    Breakdown
        The tree of modules, the operators, and what was not counted.

    Examples
    --------
    >>> tally = Tally()
    >>> tally.witness = "counted"
    >>> tally.note("forward", "Net.0", "aten::addmm", 1280, 40)
    >>> step = break_down(tally, {"Net": "Net", "Net.0": "Linear"}, {"": 85, "Net": 85, "Net.0": 85}).step
    >>> [(level, node.title, node.macs) for level, node in step.walk()]
    [(0, 'step', 640), (1, 'Net', 640), (2, '0 Linear', 640)]
    """
    found: defaultdict[str, list[tuple[str, Cost]]] = defaultdict(list)
    for call, calls in tally.calls.items():
        for path in upwards(call.module):
            found[path].append((call.phase, Cost.of(call, calls)))
    below: defaultdict[str, list[str]] = defaultdict(list)
    for path in kinds:
        below[path.rpartition(".")[0]].append(path)

    def node(path: str) -> Node:
        children = tuple(map(node, below[path]))
        return Node(path, kinds.get(path, ""), parameters[path], _by_phase(found[path]), children)

    return Breakdown(
        tally.witness,
        node(""),
        _operators(tally),
        tally.masked,
        tally.masked_unknown,
        tally.remade,
        tally.uncounted,
        tally.communication,
    )


def _operators(tally: Tally) -> tuple[OperatorCost, ...]:
    rows: defaultdict[tuple[str, str], list[tuple[int, Cost]]] = defaultdict(list)
    for call, calls in tally.calls.items():
        rows[call.phase, call.operator].append((calls, Cost.of(call, calls)))
    operators = (
        OperatorCost(*key, sum(calls for calls, _ in noted), Cost.sum(cost for _, cost in noted))
        for key, noted in rows.items()
    )
    return tuple(sorted(operators, key=lambda row: row.cost, reverse=True))


def upwards(path: str) -> Iterator[str]:
    """Yield a module's path, then the path of each module around it, then the step's.

    >>> list(upwards("blocks.0.mlp"))
    ['blocks.0.mlp', 'blocks.0', 'blocks', '']
    """
    while path:
        yield path
        path = path.rpartition(".")[0]
    yield ""


def _by_phase(noted: list[tuple[str, Cost]]) -> dict[str, Cost]:
    return {phase: Cost.sum(cost for ran_in, cost in noted if ran_in == phase) for phase in PHASES}
