"""Work out how many bytes an operator reads and writes.

An operator reads its tensors and writes its results, each number once, however its kernel goes about it. A view moves
nothing. What a cache keeps from one operator to the next is left out: this is the traffic of operators that run one by
one.
"""

from collections.abc import Mapping, Sequence
from itertools import zip_longest
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves

from flopbook.measure.memory import parts_of
from flopbook.measure.operators.movement import TABLE
from flopbook.measure.operators.names import bare

#: What changes a tensor in place and does not read what was there.
_OVERWRITES = {"copy", *TABLE["make"].split(), *TABLE["draw random numbers"].split()}

#: What looks at sizes only, or makes room.
_MOVES_NOTHING = {
    "_fused_sdp_choice", "is_same_size", "record_stream", "_resize_output",
    "empty", "empty_like", "empty_permuted", "empty_strided", "new_empty", "new_empty_strided",
}  # fmt: skip

#: The table of a lookup, of which as much is read as the result holds.
_LOOKED_UP = {
    "embedding": "weight", "gather": "self", "index": "self", "index_select": "self", "take": "self",
    "_unsafe_index": "self",
}  # fmt: skip

#: What is put into a tensor in place along one axis, and whether it is added to what is there.
_PUT = {
    "index_copy_": ("source", False), "index_add_": ("source", True), "scatter_": ("src", False),
    "scatter_add_": ("src", True), "scatter_reduce_": ("src", True),
}  # fmt: skip

#: What is put into a tensor in place at indices of several axes.
_PUT_AT = {"index_put_", "_index_put_impl_"}


def moved(func: Any, out: object, args: tuple, kwargs: Mapping[str, Any]) -> tuple[int, int]:
    """Return the bytes that one call of an operator reads, and those that it writes.

    Parameters
    ----------
    func : OpOverload or HigherOrderOperator
        The operator.
    out : object
        Its result.
    args, kwargs : tuple, dict
        What it was called with.

    Notes
    -----
    A tensor that is given twice is read once, and one that repeats along an axis, as `expand` makes it, holds each
    number once. Of a table that is looked up the rows count that the result holds; where values are put into a tensor,
    as many of its numbers as there are values. A loss over classes reads one number of each row. The backward pass of
    a convolution reads the weight for the gradient of the data, and the data for that of the weight.

    Examples
    --------
    >>> x, w = torch.ones(7, 5), torch.ones(5, 3)
    >>> moved(torch.ops.aten.mm.default, x @ w, (x, w), {})
    (200, 84)
    """
    schema = getattr(func, "_schema", None)
    if schema is None:
        return _bytes(args, dict(kwargs)), _bytes(out)
    name = bare(schema.name).removeprefix("aten::")
    if func.is_view or name in _MOVES_NOTHING or torch.Tag.inplace_view in func.tags or func.namespace == "profiler":
        return 0, 0
    given = {argument.name: value for argument, value in zip(schema.arguments, args, strict=False)} | dict(kwargs)
    changed = {argument.name for argument in schema.arguments if argument.alias_info and argument.alias_info.is_write}
    held = {_storage(part) for part in _parts(given)}
    results = _parts(out)
    made = [part for part in results if _storage(part) not in held]
    if results and not (made or changed):
        return 0, 0  # a view by another name
    unread = _unread(schema.name, given) | {argument.name for argument in schema.arguments if argument.is_out}
    if name in _OVERWRITES:
        unread |= changed
    if name.startswith("_fused_") and given.get("grad_scale") is None:
        changed -= {"grads"}  # which only a scale changes
    parts = _touched(schema.name, given, out)
    read = {argument: value for argument, value in given.items() if argument not in unread}
    written = {argument: value for argument, value in given.items() if argument in changed}
    return _less(read, parts), _less(written, parts) + _bytes(made)


def _unread(name: str, given: Mapping[str, Any]) -> set[str]:
    """Name the tensors that an operator is given and does not read."""
    plain = name.removeprefix("aten::")
    overwrites = not _PUT[plain][1] if plain in _PUT else plain in _PUT_AT and not given.get("accumulate")
    if overwrites or plain.endswith("_like") or plain.startswith("new_"):
        return {"self"}
    if plain in ("nll_loss_backward", "nll_loss2d_backward"):
        return {"self"}
    if plain == "convolution_backward":
        return {tensor for tensor, needed in zip(("weight", "input"), given["output_mask"], strict=False) if not needed}
    return set()


def _touched(name: str, given: Mapping[str, Any], out: object) -> dict[str, int]:
    """Return the bytes that are touched of a tensor of which an operator touches a part."""
    plain = name.removeprefix("aten::")
    if table := _LOOKED_UP.get(plain):
        return {table: min(_bytes(given[table]), _bytes(out))}
    if plain in ("_embedding_bag", "_embedding_bag_forward_only"):
        return {"weight": given["indices"].numel() * _bytes(given["weight"][:1])}
    if plain in _PUT:
        return {"self": given.get(_PUT[plain][0], given["index"]).numel() * given["self"].element_size()}
    if plain in _PUT_AT:
        return {"self": _places(given["self"], given["indices"], given["values"]) * given["self"].element_size()}
    if plain in ("nll_loss_forward", "nll_loss2d_forward"):
        return {"self": given["target"].numel() * given["self"].element_size()}
    return {}


def _places(target: Tensor, indices: Sequence[Tensor | None], values: Tensor) -> int:
    """Count the numbers of a tensor at indices; those of a mask are as many as the values, or unknown and all."""
    known = [index for index in indices if index is not None]
    if any(index.dtype in (torch.bool, torch.uint8) for index in known):
        return values.numel() if values.numel() > 1 else target.numel()
    whole_axes = (size for size, index in zip_longest(target.shape, indices) if index is None)
    return prod(torch.broadcast_shapes(*(index.shape for index in known))) * prod(whole_axes)


def _less(given: Mapping[str, Any], parts: Mapping[str, int]) -> int:
    """Add up the bytes of tensors, and of some a part."""
    whole = [value for name, value in given.items() if name not in parts]
    return _bytes(whole) + sum(size for name, size in parts.items() if name in given)


def _parts(values: object) -> list[Tensor]:
    """List the plain tensors that hold the data of all tensors in values."""
    return [part for leaf in tree_leaves(values) if isinstance(leaf, Tensor) for part in parts_of(leaf)]


def _bytes(*values: object) -> int:
    """Add up the bytes of all tensors in values, the same numbers once."""
    return sum(dict(map(_region, _parts(values))).values())


def _region(part: Tensor) -> tuple[object, int]:
    """Return what tells a tensor's numbers from those of others, and their bytes."""
    if part.is_nested or part.layout is not torch.strided:
        return id(part), part.numel() * part.element_size()
    axes = sorted((step, size) for step, size in zip(part.stride(), part.shape, strict=True) if step or not size)
    numbers = prod(size for _, size in axes)
    where = _storage(part), part.storage_offset(), *(axis for axis in axes if axis[1] != 1)
    return where, numbers * part.element_size()


def _storage(part: Tensor) -> int:
    return part.untyped_storage()._cdata if part.layout is torch.strided else id(part)
