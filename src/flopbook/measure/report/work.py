"""Watch what each operator does in each module: its FLOPs, and the bytes that it reads and writes."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple

from torch.utils._python_dispatch import TorchDispatchMode, _get_current_dispatch_mode_stack

from flopbook.counts.tally import Call
from flopbook.measure.counting.count import is_traced, run_parts, runs_as_parts
from flopbook.measure.counting.threads import follow_threads
from flopbook.measure.operators.lookup import made_of_others
from flopbook.measure.operators.registry import name_of
from flopbook.measure.operators.traffic import moved

# phase, module and operator
Place = tuple[str, str, str]


class Work(NamedTuple):
    """Holds what one operator does in one module and one phase.

    Attributes
    ----------
    phase, module, operator : str
        As in a :class:`~flopbook.counts.tally.Call`.
    flops : int
        FLOPs of all kinds: contractions, pointwise and fused.
    read, written : int
        Bytes of the tensors that it reads, and of those that it writes, as
        :func:`flopbook.measure.operators.traffic.moved` says.
    """

    phase: str
    module: str
    operator: str
    flops: int
    read: int
    written: int

    @property
    def bytes(self) -> int:
        """Add up the bytes that are read and written."""
        return self.read + self.written


class _Watch(TorchDispatchMode):
    """Sees every operator, before a count sees it, and notes the bytes that it moves."""

    supports_higher_order_operators = True

    def __init__(self, place: Callable[[], tuple[str, str]]):
        super().__init__()
        self._place = place
        self.bytes: dict[Place, tuple[int, int]] = {}

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if made_of_others(types, args, kwargs):
            return NotImplemented
        if types and is_traced(types):  # as where shards find out the shape of the whole
            return func(*args, **kwargs)
        if runs_as_parts(func, args):
            with self:
                return run_parts(func, args, kwargs)
        out = func(*args, **kwargs)
        read, written = moved(func, out, args, kwargs)
        if read or written:
            place = (*self._place(), name_of(getattr(func, "overloadpacket", func)))
            before = self.bytes.get(place, (0, 0))
            self.bytes[place] = before[0] + read, before[1] + written
        return out


@contextmanager
def watch_bytes(place: Callable[[], tuple[str, str]]) -> Iterator[Mapping[Place, tuple[int, int]]]:
    """Note the bytes that operators in the block read and write.

    Parameters
    ----------
    place : callable
        Returns phase and module of the operator that runs now.

    Yields
    ------
    dict
        Bytes read and bytes written, by phase, module and operator; filled while the block runs.
    """
    watch = _Watch(place)
    with follow_threads(lambda: watch if watch in _get_current_dispatch_mode_stack() else None), watch:
        yield watch.bytes


def works(moved: Mapping[Place, tuple[int, int]], calls: Mapping[Call, int]) -> tuple[Work, ...]:
    """Put FLOPs beside bytes, most bytes first.

    Examples
    --------
    >>> works({("forward", "", "aten::mm"): (200, 84)}, {Call("forward", "", "aten::mm", 210): 1})
    (Work(phase='forward', module='', operator='aten::mm', flops=210, read=200, written=84),)
    """
    flops: defaultdict[Place, int] = defaultdict(int)
    for call, number in calls.items():
        flops[call[:3]] += number * (call.flops + call.pointwise)
    places = dict.fromkeys([*moved, *flops])
    rows = [Work(*place, flops.get(place, 0), *moved.get(place, (0, 0))) for place in places]
    return tuple(sorted(rows, key=lambda row: -row.bytes))
