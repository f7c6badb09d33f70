"""Pooling and interpolation: pointwise arithmetic over a window."""

import math

from flopbook.measure.operators.pointwise import elements, per_element, per_result
from flopbook.measure.operators.registry import aten, pointwise_rule


@pointwise_rule(aten.avg_pool1d, aten.avg_pool2d, aten.avg_pool3d)
def average_pool(out, image, kernel, *_, **__):
    """Each element of the result adds up a window."""
    return elements(out) * math.prod(kernel)


@pointwise_rule(
    aten.max_pool2d_with_indices, aten.max_pool3d_with_indices, aten.fractional_max_pool2d, aten.fractional_max_pool3d,
)  # fmt: skip
def max_pool(out, image, kernel, *_, **__):
    """A comparison for each element of a window."""
    return elements(out[0]) * math.prod(kernel)


# a weighted sum of the neighbors: one multiplication each, one addition less
per_result(3, aten.upsample_linear1d)
per_result(7, aten.upsample_bilinear2d, aten._upsample_bilinear2d_aa)
per_result(15, aten.upsample_trilinear3d)
per_result(31, aten.upsample_bicubic2d, aten._upsample_bicubic2d_aa)
# backward, each element of the gradient is spread over them
per_element(4, aten.upsample_linear1d_backward)
per_element(8, aten.upsample_bilinear2d_backward, aten._upsample_bilinear2d_aa_backward)
per_element(16, aten.upsample_trilinear3d_backward)
per_element(32, aten.upsample_bicubic2d_backward, aten._upsample_bicubic2d_aa_backward)
per_element(
    1, aten.upsample_nearest1d_backward, aten.upsample_nearest2d_backward, aten.upsample_nearest3d_backward,
    aten._upsample_nearest_exact1d_backward, aten._upsample_nearest_exact2d_backward,
    aten._upsample_nearest_exact3d_backward, aten.reflection_pad1d_backward, aten.reflection_pad2d_backward,
    aten.reflection_pad3d_backward, aten.replication_pad1d_backward, aten.replication_pad2d_backward,
    aten.replication_pad3d_backward,
)  # fmt: skip


def _neighbors(grid, mode: int) -> int:
    """Neighbors that a point is made of; only the nearest one in mode 1."""
    return (2, 1, 4)[mode] ** grid.shape[-1]


@pointwise_rule(aten.grid_sampler_2d, aten.grid_sampler_3d)
def grid_sample(out, image, grid, mode, *_, **__):
    """As interpolation, at the points of a grid; the nearest neighbor is only looked up."""
    return elements(out) * (2 * _neighbors(grid, mode) - 1) if mode != 1 else 0


@pointwise_rule(aten.grid_sampler_2d_backward, aten.grid_sampler_3d_backward)
def grid_sample_backward(out, grad, image, grid, mode, padding, align_corners, needed):
    """As interpolation; for the grid, a multiplication and an addition for each neighbor and coordinate."""
    if mode == 1:
        return needed[0] * elements(grad)
    return 2 * _neighbors(grid, mode) * (needed[0] + needed[1] * grid.shape[-1]) * elements(grad)
