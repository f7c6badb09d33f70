"""Count matrix products: 2 FLOPs for each combination of their letters, and the bias apart."""

import math
from functools import reduce

import torch
from torch import Tensor

from flopbook.measure.operators.arithmetic import (
    SPARSE,
    elements,
    has_data,
    known,
    multiply_accumulate,
    stored,
    unseen,
)
from flopbook.measure.operators.names import contraction, pointwise

__all__ = ["SPARSE"]


@contraction(
    "mm", "bmm", "matmul", "mv", "dot", "vdot", "_int_mm", "_scaled_mm", "_scaled_mm_v2", "mkldnn_linear",
    "_weight_int8pack_mm", "_weight_int4pack_mm", "_weight_int4pack_mm_for_cpu", "_sparse_sparse_matmul",
    "_sparse_mm_reduce_impl", "hspmm",
)  # fmt: skip
def product(out, left, right, *_, **__):
    """2 for each element of the result and of the axis that the operands share; of a sparse operand, what it stores."""
    if left.is_nested:
        return _nested_product(out, left)
    if left.layout in SPARSE or right.layout in SPARSE:
        return _sparse_product(left, right)
    return multiply_accumulate(out) * out.numel() * left.shape[-1]


@contraction(
    "addmm", "baddbmm", "addmv", "_addmm_activation", "_sparse_addmm", "sspaddmm",
)  # fmt: skip
def added_product(out, added, left, right, **__):
    """2 for each element of the result and of the axis that the operands share; adding the bias is pointwise."""
    return product(out, left, right)


@contraction("addbmm")
def summed_products(out, added, left, right, **__):
    """2 for each matrix of the batch, element of the result and of the axis that the matrices share."""
    (G, B, D), (_, _, K) = left.shape, right.shape
    return multiply_accumulate(out) * G * B * D * K


@pointwise(
    "addmm", "baddbmm", "addmv", "addbmm", "_addmm_activation",
)  # fmt: skip
def add_bias(out, *_, **__):
    """1 for each element of the result: adding the bias."""
    return elements(out)


def _nested_product(out: Tensor, left: Tensor) -> int:
    """Add up the products of a nested tensor's matrices, each with sizes of its own."""
    sizes = zip(out._nested_tensor_size().tolist(), left._nested_tensor_size().tolist(), strict=True)
    return sum(multiply_accumulate(out) * math.prod(result) * operand[-1] for result, operand in sizes)


def _sparse_product(left: Tensor, right: Tensor) -> int | Tensor | None:
    if right.layout not in SPARSE:
        return multiply_accumulate(left) * stored(left) * (right.shape[-1] if right.dim() > 1 else 1)
    if left.layout not in SPARSE:
        return multiply_accumulate(left) * stored(right) * left.shape[-2]
    return _product_of_sparse(left, right)


@unseen
def _product_of_sparse(left: Tensor, right: Tensor) -> int | Tensor | None:
    """Count the pairs of elements stored in a left column and its right row."""
    if not (has_data(left) and has_data(right)):
        return None
    pairs = (_stored_along(left, 1) * _stored_along(right, 0)).sum()
    return known(multiply_accumulate(left) * pairs)


def _stored_along(matrix: Tensor, axis: int) -> Tensor:
    """Count the stored elements at each index of an axis."""
    places = matrix.to_sparse_coo()._indices()[axis]
    return torch.zeros(matrix.shape[axis], dtype=torch.int64, device=matrix.device).index_add_(
        0, places, torch.ones_like(places)
    )


@contraction("matmul_backward")
def nested_product_backward(out, grad, left, right, needed):
    """2 for each element of the result and of the axis that nested operands share, for each gradient that is needed."""
    return (needed[0] + needed[1]) * product(grad, left, right)


@contraction("sparse_sampled_addmm")
def sampled_product(out, added, left, right, **__):
    """2 for each element that the sparse result stores and each of the axis that the operands share."""
    return multiply_accumulate(left) * stored(out) * left.shape[-1]


@contraction("_sparse_mm_reduce_impl_backward")
def reduced_product_backward(out, sparse, grad, weight, reduction, places, needed):
    """2 for each stored element and column, for the gradient of either operand that needs one."""
    return (needed[0] + needed[1]) * multiply_accumulate(grad) * stored(sparse) * grad.shape[1]


@contraction("_sparse_semi_structured_mm")
def half_sparse_product(out, left, places, right, **__):
    """2 for each stored element of the left operand, which is half of all, and each column of the right one."""
    return 2 * left.numel() * right.shape[1]


@contraction("_sparse_semi_structured_addmm")
def half_sparse_added_product(out, added, left, places, right, **__):
    """2 for each stored element of the left operand, which is half of all, and each column; adding is pointwise."""
    return 2 * left.numel() * right.shape[1]


@contraction("_sparse_semi_structured_linear")
def half_sparse_linear(out, data, weight, places, **__):
    """2 for each stored element of the weight, which is half of all, and each row of the data."""
    return 2 * weight.numel() * math.prod(data.shape[:-1])


@contraction("_cslt_sparse_mm")
def compressed_product(out, left, right, *_, **__):
    """2 for each element of the result and half of the axis that the operands share: of 4 elements 2 are stored."""
    return 2 * out.numel() * right.shape[0] // 2


@contraction("_grouped_mm", "_scaled_grouped_mm")
def grouped_product(out, left, right, *rest, offs=None, **__):
    """2 for each row that belongs to a group and element of its group's matrix; padding after the last one is free."""
    if offs is None:  # the scaled one has two scales before the ends of its groups
        offs = next((thing for thing in rest if isinstance(thing, Tensor) and thing.dtype is torch.int32), None)
    return _grouped(out, left, right, offs)


@contraction("_scaled_grouped_mm_v2")
def scaled_grouped_product(out, left, right, scales, recipe, swizzle, scales2, recipe2, swizzle2, offs=None, *_, **__):
    """2 for each scaled row that belongs to a group and element of its group's matrix; padding is free."""
    return _grouped(out, left, right, offs)


def _grouped(out, left, right, offs):
    if left.dim() == right.dim() == 2:  # the groups divide the axis that is summed over
        return _rows(offs, left.shape[1], 2 * left.shape[0] * right.shape[1])
    if left.dim() == 2:  # they divide the rows of the left operand
        return _rows(offs, left.shape[0], 2 * left.shape[1] * right.shape[-1])
    if right.dim() == 2:  # they divide the columns of the right one
        return _rows(offs, right.shape[1], 2 * left.shape[1] * left.shape[2])
    return 2 * out.numel() * left.shape[-1]


@unseen
def _rows(ends: Tensor | None, whole: int, each: int) -> int | Tensor:
    """Count the FLOPs of rows in groups; of all rows without data on ends."""
    if ends is None or not has_data(ends):
        return each * whole
    return known(each * ends[-1].to(torch.int64))


@contraction("_trilinear")
def trilinear(out, first, second, third, expand1, expand2, expand3, *_, **__):
    """2 for each combination of sizes: two operands are multiplied pointwise, then contracted with the third."""

    def expanded(tensor, axes):
        return reduce(torch.unsqueeze, sorted(axes), tensor).shape

    shapes = expanded(first, expand1), expanded(second, expand2), expanded(third, expand3)
    return multiply_accumulate(out) * math.prod(torch.broadcast_shapes(*shapes))


@contraction("affine_grid_generator")
def affine_grid(out, matrix, *_, **__):
    """2 for each coordinate of a point and column of the matrix; a 1 is added to each point's coordinates."""
    return 2 * out.numel() * matrix.shape[-1]
