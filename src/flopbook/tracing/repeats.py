"""Modules that are alike run once.

The first call runs. A later call that is like it gives results of the same
sizes, at once, and its frame says whose costs it has. Both must then see the
same gradients come back, or the model is run again without this shortcut.
"""

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

from flopbook.tracing.calls import Frame, Frames
from flopbook.tracing.likeness import call_key, is_hooked
from flopbook.tracing.patches import replaced


class Call(NamedTuple):
    """A call of a module."""

    module: nn.Module
    arguments: tuple
    named: dict[str, Any]

    @property
    def leaves(self) -> list[Any]:
        """All that the module is given."""
        return tree_flatten((self.arguments, self.named))[0]

    @property
    def key(self) -> Hashable:
        """Equal for calls that are alike."""
        return _hooks() is not None, call_key(*self)

    @property
    def versions(self) -> list[int]:
        """What changes when a tensor that the module is given is written to."""
        return [leaf._version for leaf in self.leaves if isinstance(leaf, Tensor)]


class Result(NamedTuple):
    """A tensor that a call made."""

    shape: torch.Size
    stride: tuple
    dtype: torch.dtype
    requires_grad: bool


class Given(NamedTuple):
    """One of the arguments, given back."""

    number: int


class Known(NamedTuple):
    """A call that ran."""

    frame: Frame
    results: list[Any]
    structure: TreeSpec


class UnlikeError(Exception):
    """Two calls that seemed alike got gradients for other results."""


class Twins:
    """Remembers the calls that ran, for those that are like them.

    Attributes
    ----------
    made : dict
        What the operators that make a model gave, for a model that is like it.
    """

    def __init__(self):
        self._known: dict[Hashable, Known] = {}
        self._unlike: set[Hashable] = set()
        self.made: dict[Hashable, Tensor] = {}

    @contextmanager
    def standing_in(self, frames: Frames) -> Iterator[None]:
        """Every call of a module opens a frame; one that is like an earlier one does not run."""
        plain = nn.Module._call_impl
        self._fresh: dict[Hashable, Known] = {}  # whose backward pass is still to come
        stand_ins: list[tuple[Hashable, Frame, Frame]] = []

        def call(module, *arguments, **named):
            this = Call(module, arguments, named)
            key = None if _observed(module) else this.key
            known = self._known.get(key) or self._fresh.get(key)
            if known is None:
                return self._run(this, key, frames, lambda: plain(module, *arguments, **named))
            frame = Frame(frames.path(module), known.frame)
            frames.attach(frame)
            stand_ins.append((key, frame, known.frame))
            return _stand_in(this, frame, known)

        with replaced(nn.Module, "_call_impl", call):
            yield
        if unlike := {key for key, frame, twin in stand_ins if frame.reached != twin.reached}:
            self._unlike |= unlike
            self._known.clear()
            raise UnlikeError
        self._known |= self._fresh

    def _run(self, call: Call, key: Hashable, frames: Frames, run: Callable[[], Any]) -> Any:
        """Run a call, and remember it if all that comes out of it is its answer."""
        versions = call.versions
        frame = Frame(frames.path(call.module))
        frames.open(frame)
        try:
            answer = run()
        finally:
            frames.close()
        if key is None or key in self._unlike or versions != call.versions or call.key != key:
            return answer
        leaves, structure = tree_flatten(answer)
        if all(isinstance(leaf, (Tensor, torch.SymInt, int, float, str, type(None))) for leaf in leaves):
            self._fresh[key] = Known(frame, [_result(leaf, call.leaves) for leaf in leaves], structure)
            _watch(frame, leaves)
        return answer


def _result(leaf: Any, given: list[Any]) -> Any:
    if not isinstance(leaf, Tensor):
        return leaf
    for number, other in enumerate(given):
        if other is leaf:
            return Given(number)
    return Result(leaf.shape, leaf.stride(), leaf.dtype, leaf.requires_grad)


def _watch(frame: Frame, leaves: list[Any]) -> None:
    """Note for which results a gradient comes back."""
    for number, leaf in enumerate(leaves):
        if isinstance(leaf, Tensor) and leaf.requires_grad:
            leaf.register_hook(lambda gradient, number=number: frame.reached.add(number))


def _hooks() -> tuple[Callable, Callable] | None:
    """The hooks on tensors that are saved for the backward pass, if there are any."""
    return torch._C._autograd._top_saved_tensors_default_hooks(False)


def _observed(module: nn.Module) -> bool:
    """Whether somebody sees what happens inside a call: hooks of the module, or those on saved tensors."""
    hooks = _hooks()
    return is_hooked(module) or (hooks is not None and not _is_all_of_checkpoint(module, hooks[0]))


def _is_all_of_checkpoint(module: nn.Module, pack: Callable) -> bool:
    """Whether what a checkpoint runs again is the call of this one module: then it belongs to the call."""
    checkpoint = _captured(pack, "frame")
    function = checkpoint and _captured(checkpoint.recompute_fn, "fn")
    return function is module or getattr(function, "__self__", None) is module


def _captured(function: Callable, name: str) -> Any:
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    return next((cell.cell_contents for captured, cell in cells if captured == name), None)


class _StandIn(torch.autograd.Function):
    """New results, and new gradients for what they were made of."""

    @staticmethod
    def forward(ctx, frame, numbers, results, *sources):
        ctx.set_materialize_grads(False)
        ctx.frame, ctx.numbers = frame, numbers
        ctx.shapes = [(source.shape, source.dtype) for source in sources]
        made = [torch.empty_strided(result.shape, result.stride, dtype=result.dtype) for result in results]
        ctx.mark_non_differentiable(
            *(new for new, result in zip(made, results, strict=True) if not result.requires_grad)
        )
        return tuple(made)

    @staticmethod
    def backward(ctx, *gradients):
        pairs = zip(ctx.numbers, gradients, strict=True)
        ctx.frame.reached.update(number for number, gradient in pairs if gradient is not None)
        needed = ctx.needs_input_grad[3:]
        made = (torch.empty(shape, dtype=dtype) for shape, dtype in ctx.shapes)
        return None, None, None, *(new if need else None for new, need in zip(made, needed, strict=True))


def _stand_in(call: Call, frame: Frame, known: Known) -> Any:
    """What a call like this one gives."""
    new = {number: result for number, result in enumerate(known.results) if isinstance(result, Result)}
    sources = [leaf for leaf in call.leaves if isinstance(leaf, Tensor)]
    if not any(source.requires_grad for source in sources):
        sources += [parameter for parameter in call.module.parameters() if parameter.requires_grad][:1]
    leaves = [call.leaves[result.number] if isinstance(result, Given) else result for result in known.results]
    for number, made in zip(new, _StandIn.apply(frame, list(new), list(new.values()), *sources), strict=True):
        leaves[number] = made
    return tree_unflatten(leaves, known.structure)
