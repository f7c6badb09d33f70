"""Count every operator that runs, each by its own rule.

This module does not import SymPy: a count that knew the formula could not confirm the formula.
"""

import inspect
import sys
import warnings
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from threading import Lock, get_ident
from types import FrameType
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch._ops import HigherOrderOperator, OpOverload
from torch._subclasses.fake_tensor import FakeTensor
from torch.autograd.graph import Node
from torch.jit import ScriptModule
from torch.nn.modules.module import register_module_forward_hook, register_module_forward_pre_hook
from torch.optim.optimizer import Optimizer, register_optimizer_step_post_hook, register_optimizer_step_pre_hook
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode, _get_current_dispatch_mode_stack
from torch.utils._pytree import tree_leaves

from flopbook.counts.breakdown import Breakdown, break_down
from flopbook.counts.breakdown import Node as ModuleNode
from flopbook.counts.communication import Transfer
from flopbook.counts.tally import Tally, times
from flopbook.counts.views import Views
from flopbook.measure.counting.compiled import eager_when_compiled, never_compiled
from flopbook.measure.counting.modules import Places, RunningModules
from flopbook.measure.counting.optimizer_cache import kind_of_step, recall, remember
from flopbook.measure.counting.threads import follow_threads
from flopbook.measure.counting.unseen import function_that_runs, fused_in, watch_numpy
from flopbook.measure.operators.arithmetic import REAL, elements
from flopbook.measure.operators.lookup import explain, find_rule, made_of_others, of_the_book
from flopbook.measure.operators.registry import FOUND, MOVES

_current_node = torch._C._current_autograd_node
_current_graph_task = torch._C._current_graph_task_id
_NO_TASK = -1
_COMPOSITE = torch._C.DispatchKey.CompositeImplicitAutograd
_TRACING = torch._C._TorchDispatchModeKey.PROXY, torch._C._TorchDispatchModeKey.FUNCTIONAL

#: Where sharded tensors find out the shape of the whole, by running operators without data at their global shapes.
_SHARDING = "torch.distributed.tensor._sharding_prop"

#: Operators that call a function of the reader.
_CONTROL_FLOW = {"cond", "map_impl", "scan", "associative_scan", "while_loop"}

#: Where optimizers step.
_STEPPING = {inspect.getfile(Optimizer)}

#: Where PyTorch prepares gradients for an optimizer's step: clipping, and undoing the scale of a loss.
_PREPARING = {torch.nn.utils.clip_grad.__file__, torch.amp.grad_scaler.__file__}


class _Mode(TorchDispatchMode):
    """Sees every operator below autograd in one thread, and notes the operator's cost."""

    supports_higher_order_operators = True

    def __init__(self, running: RunningModules, noted: Tally):
        super().__init__()
        self.running, self.noted, self._calls = running, noted, noted._tally
        self._optimizers = 0  # how many step now: one optimizer may step another
        self._stepping_in: Node | None = None  # the node of the backward pass in which an optimizer steps
        self._kind: Hashable | None = None  # the kind of the step that runs now
        self.resting = False  # while a step runs whose count is known

    @classmethod
    def _should_skip_dynamo(cls):
        return False  # the default wraps every call, which takes 0.3 times a small step

    @never_compiled
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        # This runs for every operator of a step, so it calls as little as it can.
        try:
            run = func._op  # what func calls, without a frame of its own
            rule = FOUND[run]
        except (AttributeError, KeyError):
            if (found := find_rule(func)) is None:
                return self._without_rule(func, types, args, kwargs or {})
            run, rule = func, found
        if types and ((others := made_of_others(types, args, kwargs)) or is_traced(types)):
            # a tensor that is made of others runs the operator on those
            return NotImplemented if others else func(*args, **(kwargs or {}))
        if rule is MOVES:
            if torch.is_grad_enabled() and (node := _current_node()) is not None:
                self.running.place(node)  # the gradient of a movement may do arithmetic
            return run(*args, **kwargs) if kwargs else run(*args)
        kwargs = kwargs or {}
        node = _current_node()
        place = (self._place if node is None or self._optimizers else self.running.place)(node)
        out = run(*args, **kwargs)
        if out is not None:
            kwargs.pop("out", None)  # the result, which a rule gets as its first argument
        name, contraction, pointwise, transcendental, integer, masked, remade, communication = rule
        try:
            flops = contraction(out, *args, **kwargs) if contraction else 0
            apart = pointwise(out, *args, **kwargs) if pointwise else 0
            hard = transcendental(out, *args, **kwargs) if transcendental else 0
            whole = integer(out, *args, **kwargs) if integer else 0
            if contraction and (flops is None or type(out) is not Tensor or out.dtype not in REAL):
                flops, whole = self._by_result(rule, out, flops, whole)
            self._calls[(*place, name, flops, apart, hard, whole)] += 1
            if masked or remade or communication:
                self._note_parts(rule, place, out, args, kwargs)
        except Exception as error:
            explain(error, rule, func, out, args, kwargs)
            raise
        return out

    def _by_result(self, rule, out, flops, whole):
        """Split a cost into FLOPs and integer operations; note as uncounted what is None."""
        if not of_the_book(rule.contraction):
            return flops, whole
        if flops is None:
            self.noted._uncounted[rule.operator] += 1
            return 0, whole
        return (flops, whole) if elements(out) else (0, whole + flops)

    def _note_parts(self, rule, place, out, args, kwargs):
        """Note which part of an operator's cost is masked, which was remade, and what a collective carries."""
        phase = place[0]
        if rule.masked:
            with no_dispatch():  # so that no other count sees the operators that read a mask
                self.noted.note_masked(phase, rule.operator, rule.masked(out, *args, **kwargs))
        if rule.remade:
            self.noted.note_remade(phase, rule.remade(out, *args, **kwargs))
        if rule.communication:
            for collective, payload, ranks, ring in rule.communication(out, *args, **kwargs):
                self.noted.note_communication(Transfer(collective, phase, place[1], ranks), payload, ring)

    def _without_rule(self, func, types, args, kwargs):
        """Count a composite operator by its parts; note any other as uncounted."""
        if made_of_others(types, args, kwargs):
            return NotImplemented
        if runs_as_parts(func, args):
            with self:
                return run_parts(func, args, kwargs)
        schema = getattr(func, "_schema", None)
        if schema is None and func.name() in _CONTROL_FLOW:
            _refuse_to_train(func, args)
            have_data = not any(isinstance(value, FakeTensor) for value in tree_leaves(args))
            if have_data and not is_traced(types):  # else each branch would run
                return func(*(self._counted(value, func) for value in args), **kwargs)
        out = func(*args, **kwargs)
        written = (out, *args, *kwargs.values()) if schema and schema.is_mutable else out
        if elements(written) and not is_traced(types):  # without a floating-point result there are no FLOPs
            self.noted._uncounted[schema.name if schema else f"{func.namespace}::{func}"] += 1
        return out

    def _counted(self, value: Any, operator: HigherOrderOperator) -> Any:
        """Wrap a function that control flow calls, so that what it runs is counted; return anything else."""
        if not callable(value):
            return value

        def run(*arguments: Any) -> Any:
            with self, _Untrained(operator):
                return value(*arguments)

        return run

    def _place(self, node: Node | None) -> tuple[str, str]:
        """Return phase and module of the operator that runs now."""
        if self._optimizers and self._steps_in(node):
            return "optimizer", self.running.path
        if node is not None:
            return self.running.place(node)
        if not self.running.path and not torch.is_grad_enabled() and _runs_in(_PREPARING):
            return "optimizer", ""
        if _current_graph_task() != _NO_TASK:  # what a backward pass left for its end, as sharded models do
            return "backward", self.running.path
        return "forward", self.running.path

    def _steps_in(self, node: Node | None) -> bool:
        """Tell whether an optimizer steps now; one whose step raises an error does not say that it ends."""
        if not _runs_in(_STEPPING):
            self._optimizers, self._kind = 0, None
            return False
        return node is self._stepping_in

    def start_update(self, optimizer: Optimizer, arguments: tuple, options: dict) -> tuple[tuple, dict]:
        """Note that an optimizer steps; return its arguments, with the closure kept apart."""
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
        """Count again, after a step whose count is known."""
        self.__enter__()
        self.resting = False

    def _beside(self, closure: Callable) -> Callable:
        """Wrap an optimizer's closure, which runs forward and backward passes during the update."""

        def run(*arguments: Any, **named: Any) -> Any:
            before, self._optimizers = self._optimizers, 0
            result = closure(*arguments, **named)  # if the closure raises, the update is over
            self._optimizers = before
            return result

        return run


def runs_as_parts(func: OpOverload | HigherOrderOperator, args: tuple) -> bool:
    """Tell whether an operator has no rule, and is counted by the operators that it is made of."""
    if find_rule(func) is not None or getattr(func, "_schema", None) is None:
        return False
    nested = any(isinstance(tensor, Tensor) and tensor.is_nested for tensor in args)
    return not nested and torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), _COMPOSITE)


def run_parts(func: OpOverload, args: tuple, kwargs: dict[str, Any]) -> Any:
    """Run an operator that is made of others; they are dispatched one by one."""
    # the kernel that runs without a count, too; func.decompose() may choose a different one
    return func._op_dk(_COMPOSITE, *args, **kwargs)


class _ThreadMode(_Mode):
    """Sees what a thread runs that was started inside the block, and may outlive it."""

    over: bool  # whether the block has ended

    @never_compiled
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if self.over:
            return func(*args, **(kwargs or {}))
        return super().__torch_dispatch__(func, types, args, kwargs)


def _refuse_to_train(control_flow: HigherOrderOperator, values: Iterable[object]) -> None:
    """Refuse an operator of control flow whose gradient only a compiled function computes."""
    in_training = torch.is_grad_enabled() or function_that_runs()  # inside of which there are no gradients
    if in_training and any(isinstance(value, Tensor) and value.requires_grad for value in tree_leaves(values)):
        raise RuntimeError(
            f"{control_flow.name()} cannot be counted in training: PyTorch takes its gradient only in a compiled "
            "function, and what is counted runs uncompiled. Write it with if and for while you count"
        )


class _Untrained(TorchDispatchMode):
    """Refuses tensors that need gradients inside a function which control flow calls."""

    supports_higher_order_operators = True

    def __init__(self, control_flow: HigherOrderOperator):
        super().__init__()
        self.control_flow = control_flow

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        _refuse_to_train(self.control_flow, (args, kwargs))
        return func(*args, **(kwargs or {}))


def is_traced(types: Collection[type]) -> bool:
    """Tell whether operators run only to be recorded, for an export or a compiler, or for the shapes of shards."""
    return (
        torch.compiler.is_exporting()
        or any(map(torch._C._get_dispatch_mode, _TRACING))
        or (FakeTensor in types and _SHARDING in sys.modules and _runs_in({inspect.getfile(sys.modules[_SHARDING])}))
    )


def _runs_in(files: set[str]) -> bool:
    """Tell whether a function of one of these files runs now."""
    frame: FrameType | None = sys._getframe()
    while frame and frame.f_code.co_filename not in files:
        frame = frame.f_back
    return frame is not None


class FlopCount(Views, Tally):
    """Counts the FLOPs of everything that runs inside the ``with`` block.

    Contractions are counted by phase, each operator by its own rule: 2 FLOPs
    for each multiply-accumulate. Pointwise arithmetic is counted apart, in
    `pointwise`. A warning at the end names operators without a rule.

    It has the attributes of a :class:`~flopbook.counts.tally.Tally`:
    `forward`, `backward`, `recomputed`, `optimizer`, `total`, `model_flops`,
    `needed`, `pointwise`, `transcendental`, `integer`, `masked`,
    `masked_unknown`, `remade`, `by_operator`, `calls`, `communication`,
    `by_collective` and `uncounted`.

    Attributes
    ----------
    by_module : dict of str to Node
        Parameters and FLOPs of every module with all that it holds, by its
        path, such as ``GPT.blocks.0``. The first, ``""``, is the whole step.

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
            raise TypeError(f"FlopCount takes no argument, but was given {', '.join(given)}: write FlopCount()")
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
            raise RuntimeError("this FlopCount counts already: make another one for the inner with block")
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
        if self._mode.resting:  # a step whose count is known raised an error
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
        """Break the count down by module; the first path, ``""``, is the whole step."""
        return {node.path: node for _, node in self.breakdown.step.walk()}

    @property
    def breakdown(self) -> Breakdown:
        """Break the count down into a tree of modules and a list of operators."""
        kinds = {path: type(module).__name__ for path, module in self._places.modules.items()}
        return break_down(self, kinds, self._places.parameters())

    def _here(self) -> _Mode | None:
        """Return this count's mode in the current thread, since every thread calls the hooks."""
        mode = self._modes.get(get_ident())
        return mode or (self._mode if self._mode in _get_current_dispatch_mode_stack() else None)

    def _follow(self) -> AbstractContextManager | None:
        mode = self._here()
        return self._in_thread(mode.running) if mode else None

    @contextmanager
    def _in_thread(self, starter: RunningModules) -> Iterator[None]:
        """Count what the current thread runs, for a thread that was started in the block."""
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
        """Add the calls of a thread, once."""
        mode = self._modes.pop(thread, None)
        if isinstance(mode, _ThreadMode) and not mode.over:
            mode.over = True
            self.absorb(mode.noted)

    def _start_module(self, module: nn.Module, arguments: tuple) -> None:
        if mode := self._modes.get(get_ident()) or self._here():
            if mode.resting:  # no known step calls a module: it raised
                mode.wake()
            mode.running.start(module)
            if isinstance(module, ScriptModule):
                for name in fused_in(module):
                    mode.noted._uncounted[name] += 1

    def _stop_module(self, module: nn.Module, arguments: tuple, result: object) -> None:
        if mode := self._modes.get(get_ident()) or self._here():
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
