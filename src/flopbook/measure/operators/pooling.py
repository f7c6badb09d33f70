"""Count pooling and interpolation: pointwise arithmetic over a window."""

import math

from flopbook.measure.operators.arithmetic import each_element, elements
from flopbook.measure.operators.names import pointwise


@pointwise("avg_pool1d", "avg_pool2d", "avg_pool3d")
def average_pool(out, image, kernel, *_, **__):
    """1 addition for each element of each window."""
    return elements(out) * math.prod(kernel)


@pointwise(
    "max_pool2d_with_indices", "max_pool3d_with_indices", "fractional_max_pool2d", "fractional_max_pool3d",
)  # fmt: skip
def max_pool(out, image, kernel, *_, **__):
    """1 comparison for each element of each window."""
    return elements(out[0]) * math.prod(kernel)


#: How many neighbors each way of interpolation weighs.
_NEIGHBORS = {
    "upsample_linear1d": 2,
    "upsample_bilinear2d": 4,
    "_upsample_bilinear2d_aa": 4,
    "upsample_trilinear3d": 8,
    "upsample_bicubic2d": 16,
    "_upsample_bicubic2d_aa": 16,
}


def _interpolate(name: str, neighbors: int) -> None:
    @pointwise(name)
    def forward(out, *_, **__):
        return (2 * neighbors - 1) * elements(out)

    @pointwise(f"{name}_backward")
    def backward(out, grad, *_, **__):
        return 2 * neighbors * elements(grad)

    forward.__doc__ = (
        f"{2 * neighbors - 1} for each element of the result: {neighbors} products of neighbors and weights, added."
    )
    backward.__doc__ = f"{2 * neighbors} for each element: a product and an addition for each of {neighbors} neighbors."


for _name, _neighbors in _NEIGHBORS.items():
    _interpolate(_name, _neighbors)

each_element(
    "add", "upsample_nearest1d_backward", "upsample_nearest2d_backward", "upsample_nearest3d_backward",
    "_upsample_nearest_exact1d_backward", "_upsample_nearest_exact2d_backward", "_upsample_nearest_exact3d_backward",
    "reflection_pad1d_backward", "reflection_pad2d_backward", "reflection_pad3d_backward",
    "replication_pad1d_backward", "replication_pad2d_backward", "replication_pad3d_backward",
)  # fmt: skip


def _weighed(grid, mode: int) -> int:
    """Count a point's neighbors: along each axis two in mode 0, four in mode 2."""
    return (4 if mode == 2 else 2) ** grid.shape[-1]


@pointwise("grid_sampler_2d", "grid_sampler_3d")
def grid_sample(out, image, grid, mode, *_, **__):
    """1 product for each neighbor of a point, added up; none where the nearest one is only looked up."""
    return elements(out) * (2 * _weighed(grid, mode) - 1) if mode != 1 else 0


@pointwise("grid_sampler_2d_backward", "grid_sampler_3d_backward")
def grid_sample_backward(out, grad, image, grid, mode, padding, align_corners, needed):
    """2 for each neighbor of a point, for the image's gradient; as many for each coordinate of the grid's."""
    if mode == 1:
        return needed[0] * elements(grad)
    return 2 * _weighed(grid, mode) * (needed[0] + needed[1] * grid.shape[-1]) * elements(grad)
