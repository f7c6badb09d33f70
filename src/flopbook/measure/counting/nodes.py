"""Read off an autograd node who made it, and whether it runs forward again."""

from bisect import bisect_right
from typing import Generic, TypeVar

import torch
from torch.autograd.function import BackwardCFunction
from torch.autograd.graph import Node
from torch.utils._pytree import tree_leaves

Maker = TypeVar("Maker")

_sequence_number = torch._C._autograd._get_sequence_nr
_saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks
_keeps_graph = torch._C._autograd._get_current_graph_task_keep_graph

#: Sequence number of nodes that no operator made, such as those that accumulate gradients.
_NO_NUMBER = 2**63

_MARK = "flopbook: made by"


class Makers(Generic[Maker]):
    """Remember who made which nodes of the autograd graph, in one thread.

    A thread numbers the nodes that it makes, so it is enough to note each maker with the first number of its nodes.

    Parameters
    ----------
    nobody
        The maker of all nodes before the first note.
    """

    def __init__(self, nobody: Maker):
        self._numbers = [0]
        self._makers = [nobody]
        self._seen = 0

    def from_here(self, maker: Maker) -> None:
        """Note who makes the nodes from now on."""
        self._seen = _sequence_number()
        self._numbers.append(self._seen)
        self._makers.append(maker)

    def of(self, node: Node) -> Maker:
        """Return who made a node."""
        number = node._sequence_nr()
        return self._makers[0 if number >= _NO_NUMBER else bisect_right(self._numbers, number) - 1]

    def of_this_operator(self, maker: Maker, first: bool) -> None:
        """Note who makes the node of the operator that runs now in a backward pass.

        PyTorch makes the node before it runs the operator. This is called for every operator of a backward pass that
        can itself be differentiated. For the `first` operator only the last node is new; later, all nodes since the
        previous call are.
        """
        number = _sequence_number()
        if self._makers[-1] != maker:
            self._numbers.append(max(number - 1, self._numbers[-1]) if first else self._seen)
            self._makers.append(maker)
        self._seen = number


def mark(maker: str, arguments: object, result: object) -> None:
    """Write the maker on the nodes between arguments and result, for use in other threads.

    The numbers of nodes tell their maker only within one thread.
    """
    given = {*_nodes(arguments)}  # not their ids: Python makes a node anew where nothing refers to the last one
    found = _nodes(result)
    while found:
        node = found.pop()
        if node not in given and marked(node) is None:
            node.metadata[_MARK] = maker  # type: ignore[index]
            found += [before for before, _ in node.next_functions if before is not None]


def marked(node: Node) -> str | None:
    """Return the maker that is written on a node, or None."""
    return node.metadata.get(_MARK)  # type: ignore[attr-defined]


def _nodes(values: object) -> list[Node]:
    tensors = (value for value in tree_leaves(values) if isinstance(value, torch.Tensor))
    return [tensor.grad_fn for tensor in tensors if tensor.grad_fn is not None]


def recomputes(node: Node, in_a_module: bool) -> bool:
    """Tell whether the operator in a backward node runs a forward pass again."""
    if in_a_module:  # a compiled backward pass is itself a module
        return type(node).__name__ != "CompiledFunctionBackward"
    hooks = _saved_tensors_hooks(False)
    if hooks is not None and hooks[0].__module__ == "torch.utils.checkpoint":
        # a checkpoint runs its block forward under hooks and with gradients; a backward pass under them has none
        return torch.is_grad_enabled() or hooks[0].__qualname__.startswith("_recomputation_hook")
    if type(node).__name__ == "CheckpointFunctionBackward":
        return True
    # a backward pass runs without gradients, unless it is itself differentiated, and then it keeps its graph
    return torch.is_grad_enabled() and not _keeps_graph() and isinstance(node, BackwardCFunction)
