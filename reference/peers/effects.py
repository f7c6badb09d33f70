"""What a counter leaves behind: in the model, and in PyTorch itself."""

import torch
from torch import nn

_SPACES = {"torch": torch, "torch.Tensor": torch.Tensor, "torch.nn.functional": nn.functional}
_WORDS = {
    "hooks": "hooks on {number} modules",
    "state": "{number} more entries in the state_dict, such as {first}",
    "attributes": "{number} more attributes of modules, such as {first}",
    "training": "eval mode in {number} modules that were in training",
    "classes": "{number} methods of classes replaced, such as {first}",
    "functions": "{number} functions replaced, such as {first}",
}


def snapshot(model: nn.Module) -> dict[str, dict]:
    """All that a counter might change, by kind and place."""
    modules = {path or "model": module for path, module in model.named_modules()}
    classes = {type(module).__name__: type(module) for module in modules.values()}
    spaces = {name: vars(space) for name, space in _SPACES.items()}
    return {
        "hooks": {path: len(m._forward_hooks) + len(m._forward_pre_hooks) for path, m in modules.items()},
        "state": dict.fromkeys(model.state_dict()),
        "attributes": dict.fromkeys(f"{path}.{name}" for path, m in modules.items() for name in vars(m)),
        "training": {path: m.training for path, m in modules.items()},
        "classes": {f"{name}.{f}": getattr(cls, f) for name, cls in classes.items() for f in ("__call__", "forward")},
        "functions": {f"{name}.{f}": v for name, space in spaces.items() for f, v in space.items() if callable(v)},
    }


def left_behind(before: dict[str, dict], model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> list[str]:
    """What differs from `before`, in words, and whether the model still runs."""
    noticed = []
    for kind, after in snapshot(model).items():
        changed = [place for place in after if place not in before[kind] or after[place] != before[kind][place]]
        if changed:
            noticed.append(_WORDS[kind].format(number=len(changed), first=changed[0]))
    try:
        model(*inputs)
    except Exception as error:
        noticed.append(f"a model that no longer runs: {type(error).__name__}: {error}".splitlines()[0])
    return noticed
