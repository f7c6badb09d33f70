"""Count distances between points, which are pairs of rows."""

from flopbook.measure.operators.arithmetic import elements
from flopbook.measure.operators.names import contraction, pointwise


@contraction("_euclidean_dist")
def product_of_distances(out, first, second):
    """2 for each pair and coordinate: one product, with two columns more for the squares."""
    return 2 * out.numel() * (first.shape[-1] + 2)


@pointwise("_cdist_forward", "_pdist_forward")
def distances(out, first, *_, **__):
    """3 for each pair and coordinate: subtract, power, sum."""
    return 3 * elements(out) * first.shape[-1]


@pointwise("_cdist_backward", "_pdist_backward")
def distances_backward(out, grad, first, *_, **__):
    """3 for each pair and coordinate: subtract, share of the distance, sum."""
    return 3 * elements(grad) * first.shape[-1]
