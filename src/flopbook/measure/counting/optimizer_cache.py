"""Remember the count of an optimizer's step, and use it for equal steps.

An update runs hundreds of small operators, the same ones at every step. For the optimizers named here,
:func:`kind_of_step` returns all that decides which operators run. While its result stays the same, the count of the
last step is the count of this one.
"""

from collections.abc import Hashable, Mapping
from weakref import WeakKeyDictionary

from torch.optim import SGD, Adam, AdamW, Optimizer

#: Optimizers whose operators depend on what :func:`kind_of_step` returns, and not on the step's number.
_STEADY = (SGD, Adam, AdamW)

_last: WeakKeyDictionary[Optimizer, tuple[Hashable, dict[tuple, int]]] = WeakKeyDictionary()


def kind_of_step(optimizer: Optimizer) -> Hashable | None:
    """Return all that decides which operators the next step runs; None if that is unknown."""
    if type(optimizer) not in _STEADY or optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        return None
    kind: list[Hashable] = []
    for group in optimizer.param_groups:
        kind += [value for name, value in group.items() if name not in ("params", "lr")] + [type(group["lr"])]
        for parameter in group["params"]:
            gradient = parameter.grad
            kept = optimizer.state.get(parameter, {}).values()
            kind += [parameter.numel(), parameter.dtype, gradient is not None and gradient.layout, *map(type, kept)]
    return tuple(kind)


def recall(optimizer: Optimizer, kind: Hashable) -> Mapping[tuple, int] | None:
    """Return the calls of the optimizer's last step if that step was of this kind."""
    known, calls = _last.get(optimizer, (None, None))
    return calls if known == kind else None


def remember(optimizer: Optimizer, kind: Hashable, calls: dict[tuple, int]) -> None:
    """Keep the calls of a step while the optimizer exists."""
    _last[optimizer] = kind, calls
