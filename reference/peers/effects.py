"""Find what a counter leaves behind in the model and in PyTorch."""

import inspect

import torch
from torch import nn

_SPACES = {"torch": torch, "torch.Tensor": torch.Tensor, "torch.nn.functional": nn.functional}
_FUNCTIONS = {
    f"{name}.{function}": (space, function)
    for name, space in _SPACES.items()
    for function in dir(space)
    if callable(inspect.getattr_static(space, function))
}


def snapshot(model: nn.Module) -> dict[str, dict]:
    """Return all that a counter might change, by kind and place."""
    modules = {path or "model": module for path, module in model.named_modules()}
    classes = {type(module).__name__: type(module) for module in modules.values()}
    return {
        "hooks": {path: len(m._forward_hooks) + len(m._forward_pre_hooks) for path, m in modules.items()},
        "state_dict": dict.fromkeys(model.state_dict()),
        "attributes": dict.fromkeys(f"{path}.{name}" for path, m in modules.items() for name in vars(m)),
        "eval mode": {path: m.training for path, m in modules.items()},
        "methods": {f"{name}.{f}": getattr(cls, f) for name, cls in classes.items() for f in ("__call__", "forward")},
        "functions": {place: inspect.getattr_static(*where) for place, where in _FUNCTIONS.items()},
    }


def left_behind(before: dict[str, dict], model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> dict[str, dict]:
    """Count the places that differ from `before`; note if the model no longer runs."""
    found = {}
    for kind, after in snapshot(model).items():
        changed = [place for place, value in after.items() if (place, value) not in before[kind].items()]
        if changed:
            found[kind] = {"places": len(changed), "first": changed[0]}
    try:
        model(*inputs)
    except Exception as error:
        found["no longer runs"] = {"places": 1, "first": f"{type(error).__name__}: {error}".splitlines()[0]}
    return found
