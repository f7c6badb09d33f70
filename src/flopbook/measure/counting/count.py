"""The measuring side's own witness: every operator that runs, each by its rule.

Nothing here imports SymPy, so that agreement with a formula means something.
"""

import warnings
from collections.abc import Hashable
from contextlib import ExitStack
from threading import get_ident
from typing import Self

import torch
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode, _get_current_dispatch_mode_stack

from flopbook.counts.breakdown import Breakdown, Node, break_down
from flopbook.counts.tally import Tally, times
from flopbook.counts.views import Views
from flopbook.measure.counting.compiled import eager_when_compiled, never_compiled
from flopbook.measure.counting.modules import ModuleTracker, recomputes
from flopbook.measure.counting.optimizer_cache import kind_of_step, recall, remember
from flopbook.measure.operators.arithmetic import elements
from flopbook.measure.operators.lookup import explain, find_rule, made_of_others, of_the_book
from flopbook.measure.operators.registry import FOUND, MOVES

_current_node = torch._C._current_autograd_node
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd


class _Mode(TorchDispatchMode):
    """Sees every operator below autograd and notes what it costs."""

    def __init__(self, count: "FlopCount"):
        super().__init__()
        self._count, self._modules, self._tally = count, count._modules, count._tally

    supports_higher_order_operators = True

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # the default wraps every call, at a third of its cost

    @never_compiled
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # This runs for every operator of a step, so it calls little that is not needed.
        try:
            operator = func._op  # what func calls, without a frame of its own
            rule = FOUND[operator]
        except (AttributeError, KeyError):
            if not (found := find_rule(func)):
                return self._without_rule(func, types, args, kwargs or {})
            operator, rule = func, found
        if types and made_of_others(types):
            return NotImplemented  # then it runs the operator on the tensors that it is made of
        if rule is MOVES:
            return operator(*args, **kwargs) if kwargs else operator(*args)
        name, contraction, pointwise, transcendental, integer, masked, remade = rule
        kwargs = kwargs or {}
        out = operator(*args, **kwargs)
        if out is not None:
            kwargs.pop("out", None)  # that is the result, which a rule gets as its first argument
        try:
            flops = contraction(out, *args, **kwargs) if contraction else 0
            apart = pointwise(out, *args, **kwargs) if pointwise else 0
            hard = transcendental(out, *args, **kwargs) if transcendental else 0
            whole = integer(out, *args, **kwargs) if integer else 0
            if contraction and of_the_book(contraction):
                flops, whole = self._by_result(name, out, flops, whole)
            node = _current_node()
            plainly = node is None and not self._count._optimizing
            phase, module = ("forward", self._modules.path) if plainly else self._count._place(node)
            self._tally[phase, module, name, flops, apart, hard, whole] += 1
            if masked:
                with no_dispatch():  # whoever else counts does not see how a mask is read
                    self._count.note_masked(phase, name, masked(out, *args, **kwargs))
            if remade:
                self._count.note_remade(phase, remade(out, *args, **kwargs))
        except Exception as error:
            explain(error, rule, func, out, args, kwargs)
            raise
        return out

    def _by_result(self, name: str, out, flops, whole):
        """Take FLOPs whose result is integer for operations on integers; note as uncounted what a rule cannot know."""
        if flops is None:
            self._count._uncounted[name] += 1
            return 0, whole
        return (flops, whole) if elements(out) else (0, whole + flops)

    def _without_rule(self, func, types, args, kwargs):
        """Count an operator that is made of others by its parts; note any other as uncounted."""
        if made_of_others(types):
            return NotImplemented
        nested = any(isinstance(tensor, torch.Tensor) and tensor.is_nested for tensor in args)
        schema = getattr(func, "_schema", None)
        if schema and not nested and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)  # as without a count; func.decompose may run another
        out = func(*args, **kwargs)
        written = (out, *args, *kwargs.values()) if schema and schema.is_mutable else out
        if elements(written):  # what gives no floating-point numbers does no arithmetic on them
            self._count._uncounted[schema.name if schema else f"{func.namespace}::{func}"] += 1
        return out


class FlopCount(Views, Tally):
    """FLOPs of everything that runs inside the ``with`` block.

    Forward, backward and recomputed contractions, each operator by its own
    rule: 2 FLOPs per multiply-accumulate. Pointwise arithmetic is counted
    apart, in `pointwise`.

    Attributes
    ----------
    forward, backward, recomputed, optimizer : int
        FLOPs of the contractions of each phase. All that is neither in the
        backward pass nor in an optimizer is forward; recomputed is what a
        checkpoint runs again. Most optimizers have no contraction.
    total : int
        FLOPs of the contractions of all phases: hardware FLOPs.
    model_flops : int
        FLOPs of forward and backward contractions, without `remade`.
    needed : int
        The total without `masked`.
    pointwise, transcendental : dict of str to int
        Pointwise FLOPs of each phase, and the part of them that is
        exponentials, logarithms, roots and the like.
    integer : dict of str to int
        Operations on integers of each phase. They are not FLOPs.
    masked : dict of str to int
        FLOPs of each phase that attention spends on pairs of query and key
        that its mask leaves out. They are part of the phase's FLOPs:
        attention is counted dense.
    masked_unknown : dict of str to int
        Calls of every operator whose mask could not be known. Its pairs count
        as needed.
    remade : dict of str to int
        FLOPs of each phase that fused kernels spend on making scores again,
        which the forward pass had made. They are part of the phase's FLOPs.
    by_operator : dict of str to Total
        FLOPs and calls of every operator that contracts, most FLOPs first.
    by_module : dict of str to Node
        Parameters and FLOPs of every module with all that it holds, by its
        path, such as ``GPT.blocks.0``. The first, ``""``, is the whole step.
    calls : dict of Call to int
        How often each kind of call ran, with its phase, module and FLOPs.
    uncounted : dict of str to int
        Calls of every operator that no rule is known for. A warning names them.

    Notes
    -----
    Compiled functions run uncompiled inside the block, operator by operator.

    Examples
    --------
    >>> import torch
    >>> x, w = torch.randn(64, 32), torch.randn(32, 16, requires_grad=True)
    >>> with FlopCount() as counted:
    ...     (x @ w).square().mean().backward()
    >>> counted.forward, counted.backward, counted.total
    (65536, 65536, 131072)
    >>> counted.by_operator["aten::mm"]
    Total(flops=131072, calls=2)
    >>> counted.uncounted
    {}
    """

    witness = "counted"

    def __init__(self, *nothing: object, **unknown: object):
        if given := [*(type(thing).__name__ for thing in nothing), *unknown]:
            raise TypeError(f"FlopCount({', '.join(given)}) takes nothing: write with FlopCount() as count:")
        self._counting = False
        self._reset()

    def _reset(self):
        super().__init__()
        self._fresh, self._active = True, ExitStack()
        self._optimizing = 0  # optimizers that run now: one may step another
        self._kind: Hashable | None = None  # of the step that runs now
        self._stepping_in: torch.autograd.graph.Node | None = None  # of the backward pass, where it steps in there
        self._resting = False  # while a step runs that is known already
        self._modules = ModuleTracker(self._is_here)
        self._mode = _Mode(self)

    def __enter__(self) -> Self:
        if self._counting:
            raise RuntimeError("this FlopCount counts already: use another one inside its with block")
        if not self._fresh:
            self._reset()
        self._fresh, self._thread = False, get_ident()
        with self._active as stack:
            stack.enter_context(eager_when_compiled())
            stack.enter_context(self._modules)
            stack.callback(register_optimizer_step_pre_hook(self._start_optimizer).remove)
            stack.callback(register_optimizer_step_post_hook(self._stop_optimizer).remove)
            stack.enter_context(self._mode)
            self._active = stack.pop_all()
        self._counting = True
        return self

    def __exit__(self, kind, value, traceback):
        self._counting = False
        if self._resting:  # the step of a known kind raised
            self._mode.__enter__()
        self._active.__exit__(kind, value, traceback)
        if self._uncounted and kind is None:
            listed = ", ".join(f"{name} ({times(calls)})" for name, calls in self.uncounted.items())
            warnings.warn(
                f"no rule for {listed}: not counted. Add one with flopbook.measure.operators.flop_rule",
                stacklevel=2,
            )

    @property
    def by_module(self) -> dict[str, Node]:
        """Parameters and FLOPs of every module with all that it holds; the first, ``""``, is the whole step."""
        return {node.path: node for _, node in self.breakdown.step.walk()}

    @property
    def breakdown(self) -> Breakdown:
        """The count as plain data: its tree of modules and its operators."""
        kinds = {path: type(module).__name__ for path, module in self._modules.modules.items()}
        return break_down(self, kinds, self._modules.parameters())

    def _is_here(self) -> bool:
        """Whether this count's mode is on in the thread that asks."""
        return get_ident() == self._thread or self._mode in _get_current_dispatch_mode_stack()

    def _start_optimizer(self, optimizer, arguments, options):
        if not self._is_here():  # other threads have optimizers of their own
            return
        self._stepping_in = self._stepping_in or _current_node()
        self._optimizing += 1
        if self._optimizing > 1 or len(arguments) > 1 or options:  # inside another one, or with a closure
            return
        self._kind = kind_of_step(optimizer)
        known = recall(optimizer, self._kind) if self._kind else None
        if known and _get_current_dispatch_mode() is self._mode:
            for call, calls in known.items():
                self._tally[call] += calls
            self._mode.__exit__(None, None, None)
            self._resting = True
        else:
            self._before = dict(self._tally)

    def _stop_optimizer(self, optimizer, arguments, options):
        if not self._is_here():
            return
        self._optimizing -= 1
        if self._resting:
            self._mode.__enter__()
            self._resting = False
        elif self._kind and not self._optimizing:
            calls = {call: calls - self._before.get(call, 0) for call, calls in self._tally.items()}
            remember(optimizer, self._kind, {call: number for call, number in calls.items() if number})
        if not self._optimizing:
            self._kind = self._stepping_in = None

    def _place(self, node: torch.autograd.graph.Node | None) -> tuple[str, str]:
        """Phase and module of the operator that runs now, in a node of the backward pass or outside of all."""
        if self._optimizing and node is self._stepping_in and not torch.is_grad_enabled():  # a closure runs with them
            return "optimizer", self._modules.path
        if node is None:
            return "forward", self._modules.path
        if recomputes(node):
            return "recomputed", self._modules.path
        return "backward", self._modules.made(node)
