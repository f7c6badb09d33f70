"""Count sums over rows that an index picks: scatter, embedding bags."""

from flopbook.measure.operators.arithmetic import elements
from flopbook.measure.operators.names import pointwise


@pointwise(
    "index_add", "scatter_add", "scatter_reduce", "index_reduce",
)  # fmt: skip
def scattered_sum(out, target, axis, index, source, *_, **__):
    """1 operation for each element that is added, multiplied or compared somewhere."""
    return elements(source)


@pointwise("index_put", "_index_put_impl_", "_unsafe_index_put", "put")
def scattered_put(out, target, indices, source, accumulate=False, *_, **__):
    """1 addition for each element of the source, where elements are added up."""
    return elements(source) if accumulate else 0


@pointwise("scatter")
def scatter(out, target, axis, index, source, *, reduce=None):
    """1 operation for each element of the index, where elements are added or multiplied."""
    return index.numel() if reduce and elements(out) else 0


@pointwise("embedding_renorm_")
def renormalize(out, weight, indices, *_, **__):
    """3 for each element of the rows that are looked up: square, sum, scale."""
    return 3 * indices.numel() * weight.shape[1]


@pointwise("_embedding_bag", "_embedding_bag_forward_only")
def embedding_bag(out, weight, indices, *_, **__):
    """1 addition for each element of the rows that are looked up."""
    return indices.numel() * weight.shape[1]


@pointwise("_embedding_bag_backward", "_embedding_bag_dense_backward")
def embedding_bag_backward(out, grad, indices, *_, **__):
    """1 addition for each element of the rows that were looked up."""
    return indices.numel() * grad.shape[1]
