"""Count every operator that runs, each by its own rule.

Nothing here imports SymPy, so that agreement with a formula means something.
"""

import sys
import warnings
from collections.abc import Callable, Hashable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock, get_ident
from types import FrameType
from typing import Any, Self

import torch
from torch import nn
from torch._ops import HigherOrderOperator
from torch.autograd.graph import Node
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves

from flopbook.counts.breakdown import Breakdown, break_down
from flopbook.counts.breakdown import Node as ModuleNode
from flopbook.counts.tally import Tally, times
from flopbook.counts.views import Views
from flopbook.measure.counting.compiled import eager_when_compiled, never_compiled
from flopbook.measure.counting.modules import Places, RunningModules
from flopbook.measure.counting.optimizer_cache import kind_of_step, recall, remember
from flopbook.measure.counting.threads import follow_threads
from flopbook.measure.counting.unseen import fused_in, watch_numpy
from flopbook.measure.operators.arithmetic import elements
from flopbook.measure.operators.lookup import explain, find_rule, made_of_others, of_the_book
from flopbook.measure.operators.registry import FOUND, MOVES

_current_node = torch._C._current_autograd_node
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_TRACING = torch._C._TorchDispatchModeKey.PROXY, torch._C._TorchDispatchModeKey.FUNCTIONAL

#: Operators that call functions of the reader's.
_CONTROL_FLOW = {"cond", "map_impl", "scan", "associative_scan", "while_loop"}

#: Where PyTorch prepares gradients for an optimizer's step: clipping, and undoing the scale of a loss.
_PREPARING = {torch.nn.utils.clip_grad.__file__, torch.amp.grad_scaler.__file__}


class _Mode(TorchDispatchMode):
    """Sees every operator below autograd in one thread, and notes what it costs."""

    supports_higher_order_operators = True

    def __init__(self, running: RunningModules, noted: Tally):
        super().__init__()
        self.running, self.noted, self._calls = running, noted, noted._tally
        self._optimizers = 0  # those that run now: one may step another
        self._stepping_in: Node | None = None  # of the backward pass, where an optimizer steps in there
        self._kind: Hashable | None = None  # of the step that runs now
        self.resting = False  # while a step runs that is known already

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # the default wraps every call: 0.3 times a small step more

    @never_compiled
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # This runs for every operator of a step, so it calls little that is not needed.
        rule = FOUND.get(func) or find_rule(func)
        if rule is None:
            return self._without_rule(func, types, args, kwargs or {})
        if types and ((others := made_of_others(types, args, kwargs)) or _is_traced()):
            # one made of others runs the operator on the tensors that it is made of
            return NotImplemented if others else func(*args, **(kwargs or {}))
        node = _current_node()
        if rule is MOVES:
            if node is not None and torch.is_grad_enabled():
                self.running.place(node)  # the gradient of a movement may be more than that
            return func(*args, **kwargs) if kwargs else func(*args)
        kwargs = kwargs or {}
        if node is None and not self._optimizers and self.running.path:
            place = "forward", self.running.path
        else:
            place = self._place(node)
        out = func(*args, **kwargs)
        if out is not None:
            kwargs.pop("out", None)  # that is the result, which a rule gets as its first argument
        try:
            self._note(rule, place, out, args, kwargs)
        except Exception as error:
            explain(error, rule, func, out, args, kwargs)
            raise
        return out

    def _by_result(self, name: str, out, flops, whole):
        """Take FLOPs whose result is integer for operations on integers; note as uncounted what a rule cannot know."""
        if flops is None:
            self.noted._uncounted[name] += 1
            return 0, whole
        return (flops, whole) if elements(out) else (0, whole + flops)

    def _note(self, rule, place, out, args, kwargs):
        """Note what an operator cost, as its rule says."""
        name, contraction, pointwise, transcendental, integer, masked, remade = rule
        flops = contraction(out, *args, **kwargs) if contraction else 0
        apart = pointwise(out, *args, **kwargs) if pointwise else 0
        hard = transcendental(out, *args, **kwargs) if transcendental else 0
        whole = integer(out, *args, **kwargs) if integer else 0
        if contraction and of_the_book(contraction):
            flops, whole = self._by_result(name, out, flops, whole)
        phase, module = place
        self._calls[phase, module, name, flops, apart, hard, whole] += 1
        if masked:
            with no_dispatch():  # whoever else counts does not see how a mask is read
                self.noted.note_masked(phase, name, masked(out, *args, **kwargs))
        if remade:
            self.noted.note_remade(phase, remade(out, *args, **kwargs))

    def _without_rule(self, func, types, args, kwargs):
        """Count an operator that is made of others by its parts; note any other as uncounted."""
        if made_of_others(types, args, kwargs):
            return NotImplemented
        nested = any(isinstance(tensor, torch.Tensor) and tensor.is_nested for tensor in args)
        schema = getattr(func, "_schema", None)
        if schema and not nested and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE):
            with self:
                return func._op_dk(_COMPOSITE, *args, **kwargs)  # as without a count; func.decompose may run another
        if schema is None:
            _refuse_to_train(func, args)
        out = func(*args, **kwargs)
        written = (out, *args, *kwargs.values()) if schema and schema.is_mutable else out
        if elements(written) and not _is_traced():  # what gives no floating-point numbers does no arithmetic on them
            self.noted._uncounted[schema.name if schema else f"{func.namespace}::{func}"] += 1
        return out

    def _place(self, node: Node | None) -> tuple[str, str]:
        """Phase and module of the operator that runs now, in a node of the backward pass or outside of all."""
        if self._optimizers and node is self._stepping_in:
            return "optimizer", self.running.path
        if node is not None:
            return self.running.place(node)
        if not self.running.path and not torch.is_grad_enabled() and _prepares_an_update():
            return "optimizer", ""
        return "forward", self.running.path

    def start_update(self, optimizer: Optimizer, arguments: tuple, options: dict) -> tuple[tuple, dict]:
        """Note that an optimizer steps; give its arguments, with a closure that is not a part of the update."""
        if not self._optimizers:
            self._stepping_in = _current_node()
        self._optimizers += 1
        if len(arguments) > 1 or options:
            positional = (self._beside(value) if callable(value) else value for value in arguments[1:])
            named = {name: self._beside(value) if callable(value) else value for name, value in options.items()}
            return (optimizer, *positional), named
        if self._optimizers == 1:
            self._kind = kind_of_step(optimizer)
            known = recall(optimizer, self._kind) if self._kind else None
            if known and _get_current_dispatch_mode() is self:
                for call, calls in known.items():
                    self._calls[call] += calls
                self.__exit__(None, None, None)
                self.resting = True
            else:
                self._before = dict(self._calls)
        return arguments, options

    def stop_update(self, optimizer: Optimizer) -> None:
        """Note that an optimizer has stepped."""
        self._optimizers = max(self._optimizers - 1, 0)
        if self.resting:
            self.wake()
        elif self._kind and not self._optimizers:
            calls = {call: calls - self._before.get(call, 0) for call, calls in self._calls.items()}
            remember(optimizer, self._kind, {call: number for call, number in calls.items() if number})
        if not self._optimizers:
            self._kind = None

    def wake(self) -> None:
        """See what runs again, after a step that is known."""
        self.__enter__()
        self.resting = False

    def _beside(self, closure: Callable) -> Callable:
        """The closure of an optimizer, which runs forward and backward in the middle of the update."""

        def run(*arguments: Any, **named: Any) -> Any:
            before, self._optimizers = self._optimizers, 0
            result = closure(*arguments, **named)  # where it raises, the update is over
            self._optimizers = before
            return result

        return run


class _ThreadMode(_Mode):
    """Sees what a thread runs that was started in the block; the thread may outlive the block."""

    over = False

    @never_compiled
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.over:
            return func(*args, **(kwargs or {}))
        return super().__torch_dispatch__(func, types, args, kwargs)


def _refuse_to_train(func: HigherOrderOperator, args: tuple) -> None:
    """Refuse an operator of control flow whose gradient PyTorch takes only when it is compiled."""
    if func.name() in _CONTROL_FLOW and any(isinstance(x, torch.Tensor) and x.requires_grad for x in tree_leaves(args)):
        raise RuntimeError(
            f"{func.name()} cannot be counted in training: PyTorch takes its gradient only in a compiled function, and "
            "what is counted runs uncompiled. Write it with if and for while you count, or count under torch.no_grad()"
        )


def _is_traced() -> bool:
    """Whether operators run only to be written down, for an export or a compiler."""
    return torch.compiler.is_exporting() or any(map(torch._C._get_dispatch_mode, _TRACING))


def _prepares_an_update() -> bool:
    """Whether PyTorch prepares gradients for an optimizer now."""
    frame: FrameType | None = sys._getframe()
    while frame and frame.f_code.co_filename not in _PREPARING:
        frame = frame.f_back
    return frame is not None


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
        self._places = Places()
        self._mode = _Mode(RunningModules(self._places), self)
        self._lock = Lock()
        self._modes: dict[int, _Mode] = {}  # by thread

    def __enter__(self) -> Self:
        if self._counting:
            raise RuntimeError("this FlopCount counts already: use another one inside its with block")
        if not self._fresh:
            self._reset()
        self._fresh = False
        self._modes[get_ident()] = self._mode
        with self._active as stack:
            stack.enter_context(eager_when_compiled())
            stack.enter_context(follow_threads(self._follow))
            stack.enter_context(watch_numpy(self._note_unseen))
            for hook in (
                register_module_forward_pre_hook(self._start_module),
                register_module_forward_hook(self._stop_module, always_call=True),
                register_optimizer_step_pre_hook(self._start_update),
                register_optimizer_step_post_hook(self._stop_update),
            ):
                stack.callback(hook.remove)
            stack.enter_context(self._mode)
            self._active = stack.pop_all()
        self._counting = True
        return self

    def __exit__(self, kind, value, traceback):
        with self._lock:
            self._counting = False
            for thread in list(self._modes):
                self._collect(thread)
        if self._mode.resting:  # the step of a known kind raised
            self._mode.wake()
        self._active.__exit__(kind, value, traceback)
        if self._uncounted and kind is None:
            listed = ", ".join(f"{name} ({times(calls)})" for name, calls in self.uncounted.items())
            warnings.warn(
                f"no rule for {listed}: not counted. Add one with flopbook.measure.operators.flop_rule",
                stacklevel=2,
            )

    @property
    def by_module(self) -> dict[str, ModuleNode]:
        """Parameters and FLOPs of every module with all that it holds; the first, ``""``, is the whole step."""
        return {node.path: node for _, node in self.breakdown.step.walk()}

    @property
    def breakdown(self) -> Breakdown:
        """The count as plain data: its tree of modules and its operators."""
        kinds = {path: type(module).__name__ for path, module in self._places.modules.items()}
        return break_down(self, kinds, self._places.parameters())

    def _here(self) -> _Mode | None:
        """The mode of this count in the thread that asks; hooks are called from every thread."""
        found = self._modes.get(get_ident())
        return found or (self._mode if self._mode in _get_current_dispatch_mode_stack() else None)

    def _follow(self) -> AbstractContextManager | None:
        mode = self._here()
        return self._in_thread(mode.running) if mode else None

    @contextmanager
    def _in_thread(self, starter: RunningModules) -> Iterator[None]:
        """Count what the thread runs that enters."""
        mode = _ThreadMode(RunningModules(self._places, starter), Tally())
        with self._lock:
            mode.over = not self._counting
            self._modes[get_ident()] = mode
        try:
            with mode:
                yield
        finally:
            with self._lock:
                self._collect(get_ident())

    def _collect(self, thread: int) -> None:
        """Add what was noted in a thread, once."""
        mode = self._modes.pop(thread, None)
        if isinstance(mode, _ThreadMode) and not mode.over:
            mode.over = True
            self.absorb(mode.noted)

    def _start_module(self, module: nn.Module, arguments: tuple) -> None:
        if mode := self._here():
            mode.running.start(module)
            for name in fused_in(module) if isinstance(module, torch.jit.ScriptModule) else ():
                mode.noted._uncounted[name] += 1

    def _stop_module(self, module: nn.Module, arguments: tuple, result: object) -> None:
        if mode := self._here():
            mode.running.stop(arguments, result)

    def _note_unseen(self, name: str) -> None:
        if mode := self._here():
            mode.noted._uncounted[name] += 1

    def _start_update(self, optimizer: Optimizer, arguments: tuple, options: dict) -> tuple[tuple, dict] | None:
        mode = self._here()
        return mode.start_update(optimizer, arguments, options) if mode else None

    def _stop_update(self, optimizer: Optimizer, arguments: tuple, options: dict) -> None:
        if mode := self._here():
            mode.stop_update(optimizer)
