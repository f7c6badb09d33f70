"""Read off what a collective carries, whether it is functional or in place."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from torch import Tensor
from torch.distributed import ProcessGroup
from torch.distributed.distributed_c10d import _resolve_process_group
from torch.utils._pytree import tree_leaves

from flopbook.collectives import ring_bytes
from flopbook.measure.operators.names import communication


class Carried(NamedTuple):
    """Says what one call carries: its collective, payload, ranks, and what this rank sends of it in a ring."""

    collective: str
    payload: int
    ranks: int
    ring: int


def _carried(collective: str, tensors: Any, group: Any, ring: int | None = None) -> list[Carried]:
    payload, ranks = _bytes(tensors), _group(group).size()
    return [Carried(collective, payload, ranks, ring_bytes(collective, payload, ranks) if ring is None else ring)]


def _bytes(tensors: Any) -> int:
    """Add up the bytes of all tensors in a value."""
    return sum(each.numel() * each.element_size() for each in tree_leaves(tensors) if isinstance(each, Tensor))


def _group(given: Any) -> ProcessGroup:
    """Return the group that an operator names, or holds in a box."""
    if isinstance(given, str):
        return _resolve_process_group(given)  # type: ignore[arg-type]
    return given if isinstance(given, ProcessGroup) else ProcessGroup.unbox(given)


def _is_root(group: Any, root: int) -> bool:
    return _group(group).rank() == root


def _to_others(tensor: Tensor, group: Any, splits: Sequence[int]) -> int | None:
    """Return the bytes of uneven parts that go to other ranks; None where the parts are equal."""
    if not splits:
        return None
    elements = tensor.shape[1:].numel()
    return (sum(splits) - splits[_group(group).rank()]) * elements * tensor.element_size()


@communication("c10d::allreduce_", "c10d::allreduce_coalesced_")
def all_reduce_in_place(out, tensors, group, *_, **__):
    """All-reduce: the bytes that are summed."""
    return _carried("all-reduce", tensors, group)


@communication(
    "_c10d_functional::all_reduce", "_c10d_functional::all_reduce_",
    "_c10d_functional::all_reduce_coalesced", "_c10d_functional::all_reduce_coalesced_",
)  # fmt: skip
def all_reduce(out, tensors, operation, group):
    """All-reduce: the bytes that are summed."""
    return _carried("all-reduce", tensors, group)


@communication(
    "c10d::allgather_", "c10d::_allgather_base_",
    "c10d::allgather_coalesced_", "c10d::allgather_into_tensor_coalesced_",
)  # fmt: skip
def all_gather_in_place(out, outputs, inputs, group, *_, **__):
    """All-gather: the bytes that each rank gets, its own among them."""
    return _carried("all-gather", outputs, group)


@communication(
    "_c10d_functional::all_gather_into_tensor", "_c10d_functional::all_gather_into_tensor_coalesced",
    "_c10d_functional::all_gather_into_tensor_out",
)  # fmt: skip
def all_gather(result, inputs, ranks, group, **_):
    """All-gather: the bytes that each rank gets, its own among them."""
    return _carried("all-gather", result, group)


@communication(
    "c10d::reduce_scatter_", "c10d::_reduce_scatter_base_", "c10d::reduce_scatter_tensor_coalesced_",
)  # fmt: skip
def reduce_scatter_in_place(out, outputs, inputs, group, *_, **__):
    """Reduce-scatter: the bytes that each rank gives."""
    return _carried("reduce-scatter", inputs, group)


@communication(
    "_c10d_functional::reduce_scatter_tensor", "_c10d_functional::reduce_scatter_tensor_coalesced",
    "_c10d_functional::reduce_scatter_tensor_out",
)  # fmt: skip
def reduce_scatter(result, inputs, operation, ranks, group, **_):
    """Reduce-scatter: the bytes that each rank gives."""
    return _carried("reduce-scatter", inputs, group)


@communication("c10d::alltoall_")
def all_to_all_of_list(out, outputs, inputs, group, *_, **__):
    """All-to-all: the bytes that each rank gives, what it keeps among them."""
    return _carried("all-to-all", inputs, group, _bytes(inputs) - _bytes(inputs[_group(group).rank()]))


@communication("c10d::alltoall_base_")
def all_to_all_in_place(out, output, given, group, output_splits, input_splits, *_, **__):
    """All-to-all: the bytes that each rank gives, what it keeps among them."""
    return _carried("all-to-all", given, group, _to_others(given, group, input_splits))


@communication("_c10d_functional::all_to_all_single")
def all_to_all(result, given, output_splits, input_splits, group):
    """All-to-all: the bytes that each rank gives, what it keeps among them."""
    return _carried("all-to-all", given, group, _to_others(given, group, input_splits))


@communication("_dtensor::shard_dim_alltoall")
def all_to_all_of_shards(result, given, gather_dim, shard_dim, group):
    """All-to-all: the bytes that each rank gives, what it keeps among them."""
    return _carried("all-to-all", given, group)


@communication("c10d::broadcast_")
def broadcast_in_place(out, tensors, group, *_, **__):
    """Broadcast: the bytes that one rank gives to all."""
    return _carried("broadcast", tensors, group)


@communication("_c10d_functional::broadcast", "_c10d_functional::broadcast_")
def broadcast(result, tensor, source, group):
    """Broadcast: the bytes that one rank gives to all."""
    return _carried("broadcast", tensor, group)


@communication("c10d::reduce_")
def reduce(out, tensors, group, *_, **__):
    """Reduce: the bytes that are summed for one rank."""
    return _carried("reduce", tensors, group)


@communication("c10d::gather_", "c10d::gather_into_tensor_")
def gather(out, outputs, inputs, group, root, *_, **__):
    """Gather: the bytes that one rank gets; every other sends its part."""
    ranks = _group(group).size()
    return _carried("gather", [inputs] * ranks, group, 0 if _is_root(group, root) else _bytes(inputs))


@communication("c10d::scatter_")
def scatter(out, outputs, inputs, group, root, *_, **__):
    """Scatter: the bytes that one rank gives; it sends all but its own part."""
    ranks = _group(group).size()
    return _carried("scatter", [outputs] * ranks, group, None if _is_root(group, root) else 0)


@communication("c10d::send")
def send(out, tensors, group, *_, **__):
    """Send: the bytes that go to one rank."""
    return _carried("send", tensors, group)


@communication("c10d::recv_", "c10d::recv_any_source_")
def receive(out, tensors, group, *_, **__):
    """Receive: the bytes that come from one rank."""
    return _carried("receive", tensors, group)


@communication("_c10d_functional::isend")
def functional_send(result, tensor, to, tag, group):
    """Send: the bytes that go to one rank."""
    return _carried("send", tensor, group)


@communication("_c10d_functional::irecv")
def functional_receive(result, tensor, source, tag, group):
    """Receive: the bytes that come from one rank."""
    return _carried("receive", tensor, group)


@communication("_c10d_functional::batch_p2p_ops")
def sends_and_receives(result, operations, peers, tags, tensors, group):
    """Send and receive: the bytes of each tensor."""
    kinds = ("receive" if "recv" in operation else "send" for operation in operations)
    return [one for kind, tensor in zip(kinds, tensors, strict=True) for one in _carried(kind, tensor, group)]
