"""Find the module that an operator belongs to, forward and backward.

Forward, hooks of all modules say which module runs. Backward, no module runs: there the module is the one that made
the node of the autograd graph. What runs again during the backward pass belongs to the module that runs.
"""

import torch
from torch import nn
from torch.autograd.graph import Node
from torch.nn.parameter import is_lazy

from flopbook.counts.breakdown import upwards
from flopbook.measure.counting.nodes import Makers, mark, marked, recomputes

_current_node = torch._C._current_autograd_node
_current_graph_task = torch._C._current_graph_task_id


class Places:
    """Names the modules that ran by their paths: the calling module, and the name there.

    A module that several others hold has a path in each that calls it. A module that was called outside of all
    modules, or that no module around it holds, is named by its class.
    """

    def __init__(self) -> None:
        self.modules: dict[str, nn.Module] = {}
        self._known: dict[tuple[str, nn.Module], str] = {}
        self._first: dict[nn.Module, str] = {}  # where each module ran first
        self._named: dict[nn.Module, str] = {}  # path in the first model that holds the module
        self.has_marks = False  # whether nodes of other threads are marked

    def path(self, around: str, called: nn.Module) -> str:
        """Return the path of a module that is called while the one at `around` runs."""
        named = self._named.get(called)
        if named and around and named.startswith(f"{around}."):  # as most are; this runs for every call of a module
            path = named
        elif not (path := self._known.get((around, called), "")):
            path = self._known[around, called] = self._held(around, called) or self._root(around, called)
        self._first.setdefault(called, path)
        return path

    def again(self, around: str, called: nn.Module) -> str:
        """Return the path of a module that runs again, backward through the one at `around`."""
        return self._held(around, called) or self._first.get(called) or self.path(around, called)

    def parameters(self) -> dict[str, int]:
        """Count the parameters of each module by path; the empty path stands for all."""
        counts = {path: _parameters(module) for path, module in self.modules.items()}
        return {"": _parameters(*self.modules.values()), **counts}

    def _held(self, around: str, called: nn.Module) -> str | None:
        """Return a module's path in the nearest module around that holds it, or None."""
        named = self._named.get(called)
        if named and around and named.startswith(f"{around}."):
            return named
        for path in upwards(around):
            holder = self.modules.get(path)
            for name, held in holder.named_modules() if holder is not None else ():
                if held is called:
                    return self._add(path, name)
        return None

    def _add(self, holder: str, name: str) -> str:
        """Add a module that another one holds, with the modules between the two."""
        path = holder
        for part in name.split(".") if name else ():
            module = self.modules[path].get_submodule(part)
            path = f"{path}.{part}"
            self.modules.setdefault(path, module)
        return path

    def _root(self, around: str, called: nn.Module) -> str:
        """Add a module that no module around holds, with all that it holds itself."""
        module = getattr(called, "_orig_mod", called)
        if module is not called:  # a compiled module is named by the model that it wraps
            return self.path(around, module)
        path = plain = f"{around}.{type(module).__name__}" if around else type(module).__name__
        number = 1
        while path in self.modules:
            number += 1
            path = f"{plain}_{number}"
        for below, held in module.named_modules(prefix=path):
            self.modules[below] = held
            self._named.setdefault(held, below)
        return path


class RunningModules:
    """Follows the modules that run now, in one thread.

    Parameters
    ----------
    places : Places
        The modules that ran, in all threads.
    starter : RunningModules, optional
        The running modules of the thread that started this one.

    Attributes
    ----------
    path : str
        Path of the innermost module, such as ``GPT.blocks.0.attention``; empty outside of all modules.
    """

    def __init__(self, places: Places, starter: "RunningModules | None" = None):
        self.path: str = starter.path if starter else ""
        self._places = places
        self._node: Node | None = None  # the node in which the innermost module was called
        self._outer: list[tuple[str, Node | None]] = []
        self._makers = Makers(self.path)
        # until a module runs in this thread, its backward pass goes through what the other thread made
        self._made_backward = starter._makers if starter else self._makers
        self._is_started = starter is not None
        self._graph_task: int | None = None

    def start(self, module: nn.Module) -> None:
        """Note that a module is called."""
        node = _current_node()
        if node is None or node is self._node:
            path = self._places.path(self.path, module)
        else:
            path = self._places.again(self._made_by(node), module)
        self._outer.append((self.path, self._node))
        self.path, self._node = path, node
        self._makers.from_here(path)
        self._made_backward = self._makers

    def stop(self, arguments: tuple, result: object) -> None:
        """Note that the innermost module returns or raises an error."""
        if self._outer:
            if self._is_started:
                mark(self.path, arguments, result)
                self._places.has_marks = True
            self.path, self._node = self._outer.pop()
            self._makers.from_here(self.path)

    def place(self, node: Node) -> tuple[str, str]:
        """Return phase and module of the operator that runs in a backward node."""
        in_a_module = node is self._node
        phase = "recomputed" if recomputes(node, in_a_module) else "backward"
        if in_a_module:
            path = self.path
        else:  # most operators have no marks to look for
            path = self._made_by(node) if self._places.has_marks else self._made_backward.of(node)
        if torch.is_grad_enabled():
            self.give(path)
        return phase, path

    def give(self, path: str) -> None:
        """Give the nodes that a backward operator makes to the module at `path`."""
        task = _current_graph_task()
        self._makers.of_this_operator(path, first=task != self._graph_task)
        self._graph_task = task

    def _made_by(self, node: Node) -> str:
        path = marked(node) if self._places.has_marks else None
        return self._made_backward.of(node) if path is None else path


def _parameters(*modules: nn.Module) -> int:
    """Count the parameters of all modules, each once, without those that have no shape."""
    every = {parameter for module in modules for parameter in module.parameters()}
    return sum(parameter.numel() for parameter in every if not is_lazy(parameter))
