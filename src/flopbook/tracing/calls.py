"""What the calls of a model's modules cost, as a tree.

A call of a module is a frame: it notes its own operators, forward and later
backward, and holds the frames of the modules that it calls.
"""

from bisect import bisect_right
from collections import defaultdict
from typing import NamedTuple

import sympy
import torch
from torch import nn

#: The phases of a traced step, in the order in which they run.
PHASES = ("forward", "backward", "recomputed")

_sequence_number = torch._C._autograd._get_sequence_nr

#: Sequence number of nodes that no operator made, such as those that accumulate gradients.
_NO_NUMBER = 2**63


class Cell(NamedTuple):
    """One entry of the result: a phase, a module and an operator."""

    phase: str
    module: str
    operator: str


Costs = dict[Cell, sympy.Expr]


class Frame:
    """One call of a module, or what stands in for it."""

    def __init__(self, path: str, twin: "Frame | None" = None):
        self.path, self.twin = path, twin
        self.own: defaultdict[Cell, list[sympy.Expr]] = defaultdict(list)
        self.children: list[Frame] = []
        self.reached: set[int] = set()  # the results that a gradient came back for
        self.alone = True  # nothing but its result came out of the call
        self._costs: Costs | None = None

    @property
    def calls(self) -> int:
        """The calls within it, and those that stand in for others."""
        return sum(1 + child.calls for child in self.children)

    def costs(self) -> Costs:
        """What the call and all calls within it took."""
        if self._costs is None:
            found: defaultdict[Cell, list[sympy.Expr]] = defaultdict(list, {c: list(v) for c, v in self.own.items()})
            for child in self.children:
                for cell, cost in child.costs().items():
                    found[cell].append(cost)
            if self.twin:
                for (phase, path, operator), cost in self.twin.costs().items():
                    found[Cell(phase, moved(path, self.twin.path, self.path), operator)].append(cost)
            self._costs = {cell: sympy.Add(*costs) for cell, costs in found.items()}
        return self._costs


def moved(path: str, origin: str, target: str) -> str:
    """The path in `target` that corresponds to one in `origin`; a path elsewhere stays.

    >>> moved("blocks.0.mlp.1", "blocks.0", "blocks.7")
    'blocks.7.mlp.1'
    """
    if path == origin or path.startswith(f"{origin}."):
        return target + path.removeprefix(origin)
    return path


def holders(path: str) -> list[str]:
    """A module and all that hold it, up to the whole step.

    >>> holders("blocks.0.mlp")
    ['blocks.0.mlp', 'blocks.0', 'blocks', '']
    """
    found = [path]
    while path:
        path = path.rpartition(".")[0]
        found.append(path)
    return found


class Frames:
    """The tree of frames while a model runs, and which of them an operator belongs to."""

    def __init__(self):
        self.root = Frame("")
        self.stack = [self.root]
        self._paths: dict[nn.Module, str] = {}
        self._numbers: list[int] = []
        self._made_by: list[Frame] = []

    @property
    def top(self) -> Frame:
        return self.stack[-1]

    def name(self, model: nn.Module) -> None:
        """Name a model's modules by their paths from it."""
        for path, module in model.named_modules():
            self._paths.setdefault(module, path)

    def path(self, module: nn.Module) -> str:
        """The path of a module; one that is no part of the model goes by its class."""
        return self._paths.get(module, type(module).__name__)

    def open(self, frame: Frame) -> None:
        """From here on, operators belong to a frame within the one that is open."""
        self.attach(frame)
        self.stack.append(frame)
        self._note()

    def close(self) -> None:
        """From here on, operators belong to the frame that holds the open one."""
        self.stack.pop()
        self._note()

    def attach(self, frame: Frame) -> None:
        """Hang a frame under the one that is open, or under the one whose backward pass calls it."""
        node = torch._C._current_autograd_node()
        parent = self.made(node) if node is not None and self.top is self.root else self.top
        parent.children.append(frame)

    def made(self, node: torch.autograd.graph.Node) -> Frame:
        """The frame in which a node of the autograd graph was made."""
        number = node._sequence_nr()
        place = bisect_right(self._numbers, number) if number < _NO_NUMBER else 0
        return self._made_by[place - 1] if place else self.root

    def _note(self) -> None:
        self._numbers.append(_sequence_number())
        self._made_by.append(self.top)
