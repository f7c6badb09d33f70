"""Matrix products of every shape: 2 FLOPs for each combination of their letters."""

import math
from functools import reduce

import torch

from flopbook.measure.operators.registry import aten, flop_rule

#: Layouts that store some elements only.
SPARSE = {torch.sparse_coo, torch.sparse_csr, torch.sparse_csc, torch.sparse_bsr, torch.sparse_bsc}


def _stored(matrix) -> int:
    """Elements that a sparse matrix stores, those of a block all."""
    return (matrix._values() if matrix.is_sparse else matrix.values()).numel()


@flop_rule(
    aten.mm, aten.bmm, aten.mv, aten.dot, aten.vdot, aten._int_mm, aten._scaled_mm, aten._scaled_mm_v2,
    aten.mkldnn_linear, aten._weight_int8pack_mm, aten._weight_int4pack_mm, aten._weight_int4pack_mm_for_cpu,
)  # fmt: skip
def product(out, left, right, *_, **__):
    """Each element of the result is a sum over the axis that the operands share.

    Of a sparse operand only the elements that are stored are multiplied.
    """
    if left.layout in SPARSE:
        return 2 * _stored(left) * right.numel() // right.shape[0]
    if right.layout in SPARSE:
        return 2 * _stored(right) * left.numel() // left.shape[-1]
    return 2 * out.numel() * left.shape[-1]


@flop_rule(
    aten.addmm, aten.addmm_, aten.baddbmm, aten.baddbmm_, aten.addmv, aten.addmv_, aten._addmm_activation,
    aten._sparse_addmm,
)  # fmt: skip
def added_product(out, added, left, right, **__):
    """As a product; adding the bias is pointwise."""
    return product(out, left, right)


@flop_rule(aten.sparse_sampled_addmm)
def sampled_product(out, added, left, right, **__):
    """As a product, but only of the elements that the sparse result stores."""
    return 2 * _stored(out) * left.shape[-1]


@flop_rule(aten.addbmm, aten.addbmm_)
def summed_products(out, added, left, right, **__):
    """As many products as there are matrices in the batch; adding them up is pointwise."""
    (G, B, D), (_, _, K) = left.shape, right.shape
    return 2 * G * B * D * K


@flop_rule(aten._grouped_mm, aten._scaled_grouped_mm, aten._scaled_grouped_mm_v2)
def grouped_product(out, left, right, *_, **__):
    """Every row (or column) of a two-dimensional operand meets one group only."""
    if left.dim() == right.dim() == 2:  # the groups divide the axis that is summed over
        return 2 * left.shape[0] * left.shape[1] * right.shape[1]
    return 2 * out.numel() * left.shape[-1]


@flop_rule(aten._trilinear)
def trilinear(out, first, second, third, expand1, expand2, expand3, *_, **__):
    """As it runs: two are multiplied pointwise, then contracted with the third."""

    def expanded(tensor, axes):
        return reduce(torch.unsqueeze, sorted(axes), tensor).shape

    shapes = expanded(first, expand1), expanded(second, expand2), expanded(third, expand3)
    return 2 * math.prod(torch.broadcast_shapes(*shapes))


@flop_rule(aten._euclidean_dist)
def distances(out, first, second):
    """One product: the coordinates, with two columns more for the squares."""
    return 2 * out.numel() * (first.shape[-1] + 2)


@flop_rule(aten.affine_grid_generator)
def affine_grid(out, matrix, *_, **__):
    """Every point of the grid, with a 1 added to its coordinates, times the matrix."""
    return 2 * out.numel() * matrix.shape[-1]
