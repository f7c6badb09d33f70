"""Which module an operator belongs to, forward and backward.

Forward, hooks that hold for all modules say which one is running. Backward,
no module runs: there the node of the autograd graph tells by its sequence
number when it was made, and so by which module. A checkpoint runs modules
again in the middle of the backward pass.
"""

from bisect import bisect_right
from collections.abc import Callable

import torch
from torch import nn
from torch.nn.modules import module as nn_module

_sequence_number = torch._C._autograd._get_sequence_nr
_saved_tensors_hooks = torch._C._autograd._top_saved_tensors_default_hooks

#: Sequence number of nodes that no operator made, such as those that accumulate gradients.
_NO_NUMBER = 2**63


class ModuleTracker:
    """Follows the modules that run while it is entered.

    Parameters
    ----------
    concerns_me : callable
        Says whether a module that runs now belongs to this tracker; hooks
        are called from every thread.

    Attributes
    ----------
    path : str
        The module that runs now, such as ``GPT.blocks.0.attention``; empty
        outside of all modules.
    modules : dict of str to Module
        Every module that belongs to one that ran, by path.
    """

    def __init__(self, concerns_me: Callable[[], bool]):
        self._concerns_me = concerns_me
        self._stack: list[str] = []
        self._paths: dict[nn.Module, str] = {}
        self._numbers: list[int] = []
        self._made_by: list[str] = []
        self._hooks: list = []
        self.path = ""
        self.modules: dict[str, nn.Module] = {}

    def __enter__(self):
        self._hooks = [
            nn_module.register_module_forward_pre_hook(self._start),
            nn_module.register_module_forward_hook(self._stop, always_call=True),
        ]
        return self

    def __exit__(self, *exception):
        for hook in self._hooks:
            hook.remove()

    def made(self, node: torch.autograd.graph.Node) -> str:
        """Path of the module that made a node of the autograd graph."""
        number = node._sequence_nr()
        if number >= _NO_NUMBER:
            return ""
        place = bisect_right(self._numbers, number)
        return self._made_by[place - 1] if place else ""

    def parameters(self) -> dict[str, int]:
        """Parameters of each module, by path; of all together, each counted once, for the empty one."""
        counts = {path: _parameters(module) for path, module in self.modules.items()}
        return {"": _parameters(*self.modules.values()), **counts}

    def _start(self, module, arguments):
        if self._concerns_me():
            path = self._paths.get(module) or self._name(module)
            self._stack.append(self.path)
            self._go(path)

    def _stop(self, module, arguments, result):
        if self._stack and self._concerns_me():
            self._go(self._stack.pop())

    def _go(self, path: str):
        self.path = path
        self._numbers.append(_sequence_number())
        self._made_by.append(path)

    def _name(self, called: nn.Module) -> str:
        """Name a module that is called from outside, and all that it holds; its own name is returned."""
        root = getattr(called, "_orig_mod", called)  # a compiled module wraps the model
        if root in self._paths:
            return self._paths.setdefault(called, self._paths[root])
        name, number = type(root).__name__, 2
        while name in self.modules:
            name, number = f"{type(root).__name__}_{number}", number + 1
        self._paths[called] = name
        for path, module in root.named_modules(prefix=name):
            self._paths.setdefault(module, path)
            self.modules.setdefault(path, module)
        return name


def recomputes(node: torch.autograd.graph.Node) -> bool:
    """Whether a checkpoint runs a forward operator again: in its node, or under its hooks on saved tensors."""
    hooks = _saved_tensors_hooks(False)
    if hooks is None or hooks[0].__module__ != "torch.utils.checkpoint":
        return type(node).__name__ == "CheckpointFunctionBackward"
    # a checkpoint runs forward under other hooks, also within a checkpoint; there a gradient is taken without gradients
    return torch.is_grad_enabled() or hooks[0].__qualname__.startswith("_recomputation_hook")


def _parameters(*modules: nn.Module) -> int:
    """Parameters of all modules together; one that several share counts once."""
    return sum(parameter.numel() for parameter in {p for module in modules for p in module.parameters()})
