"""Sums over rows that an index picks: scatter, embedding bags."""

from flopbook.measure.operators.pointwise import elements
from flopbook.measure.operators.registry import aten, pointwise_rule


@pointwise_rule(
    aten.index_add, aten.index_add_, aten.scatter_add, aten.scatter_add_, aten.scatter_reduce,
    aten.scatter_reduce_, aten.index_reduce, aten.index_reduce_,
)  # fmt: skip
def scattered_sum(out, target, axis, index, source, *_, **__):
    """One addition for each element that is added somewhere."""
    return elements(source)


@pointwise_rule(
    aten.index_put, aten.index_put_, aten._index_put_impl_, aten._unsafe_index_put, aten.put, aten.put_,
)  # fmt: skip
def scattered_put(out, target, indices, source, accumulate=False, *_, **__):
    """One addition for each element, where elements are added up."""
    return elements(source) if accumulate else 0


@pointwise_rule(aten.scatter, aten.scatter_)
def scatter(out, target, axis, index, source, *, reduce=None):
    """One operation for each element, where elements are added or multiplied."""
    return index.numel() if reduce and elements(out) else 0


@pointwise_rule(aten.embedding_renorm_)
def renormalize(out, weight, indices, *_, **__):
    """Norm and scale: 3 for each element of the rows that are looked up."""
    return 3 * indices.numel() * weight.shape[1]


@pointwise_rule(aten._embedding_bag, aten._embedding_bag_forward_only)
def embedding_bag(out, weight, indices, *_, **__):
    """One addition for each element of the rows that are looked up."""
    return indices.numel() * weight.shape[1]


@pointwise_rule(aten._embedding_bag_backward, aten._embedding_bag_dense_backward)
def embedding_bag_backward(out, grad, indices, *_, **__):
    """One addition for each element of the rows that were looked up."""
    return indices.numel() * grad.shape[1]
