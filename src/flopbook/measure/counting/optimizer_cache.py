"""Steps of optimizers that repeat: counted operator by operator once, then known.

An update is hundreds of small operators, the same ones at every step. Of the
optimizers named here it is known what decides which ones run; as long as none
of that has changed, the count of the last step is the count of this one.
"""

from collections.abc import Hashable, Mapping
from weakref import WeakKeyDictionary

from torch.optim import SGD, Adam, AdamW, Optimizer

#: Optimizers whose operators are decided by what :func:`kind_of_step` looks at, and not by the step's number.
_STEADY = (SGD, Adam, AdamW)

_last: WeakKeyDictionary[Optimizer, tuple[Hashable, dict[tuple, int]]] = WeakKeyDictionary()


def kind_of_step(optimizer: Optimizer) -> Hashable | None:
    """All that decides which operators an optimizer's next step runs, or None where that is not known."""
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
    """Calls of the last step of this kind, if the last step was of this kind."""
    known, calls = _last.get(optimizer, (None, None))
    return calls if known == kind else None


def remember(optimizer: Optimizer, kind: Hashable, calls: dict[tuple, int]) -> None:
    """Keep the calls of a step, as long as the optimizer lives."""
    _last[optimizer] = kind, calls
