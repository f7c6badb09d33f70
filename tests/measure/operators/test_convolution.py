"""Test convolutions against taps that are counted one by one."""

from itertools import product

import pytest
import torch
from torch import nn
from torch.nn import functional

CONV = {1: functional.conv1d, 2: functional.conv2d, 3: functional.conv3d}
TRANSPOSED = {1: functional.conv_transpose1d, 2: functional.conv_transpose2d, 3: functional.conv_transpose3d}

#: Sizes of the image and of the kernel.
SHAPES = [((7,), (3,)), ((6, 5), (3, 2)), ((5, 4, 3), (2, 3, 1)), ((1,), (1,)), ((3, 7), (1, 1))]
WAYS = [
    {},
    {"stride": 2},
    {"padding": 1},
    {"stride": 2, "padding": 1},
    {"padding": 2, "dilation": 2},
    {"stride": 3, "padding": 2, "dilation": 2},
]


def taps(image, kernel, stride=1, padding=0, dilation=1):
    """Lay the kernel wherever it fits on the padded image, and count its taps."""
    number = 0
    starts = [
        range(0, size + 2 * padding - dilation * (reach - 1), stride) for size, reach in zip(image, kernel, strict=True)
    ]
    for _place in product(*starts):
        for _tap in product(*map(range, kernel)):
            number += 1
    return number


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(("image", "kernel"), SHAPES, ids=str)
def test_every_tap_is_two_flops_also_on_padding(count, image, kernel, way):
    x, w = torch.ones(2, 4, *image), torch.ones(6, 4, *kernel)
    if not taps(image, kernel, **way):
        pytest.skip("the kernel fits nowhere")
    counted = count(lambda: CONV[len(image)](x, w, **way))
    assert counted.forward == 2 * (2 * 4 * 6) * taps(image, kernel, **way)


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize("conv", [CONV, TRANSPOSED], ids=["plain", "transposed"])
def test_a_group_sees_its_own_channels_only(count, conv, groups):
    shape = (6, 4 // groups, 3) if conv is CONV else (4, 8 // groups, 3)
    x = torch.ones(2, 4, 7)
    if conv is CONV and 6 % groups:
        shape = (8, 1, 3)
    channels = shape[0] * shape[1]
    length = 5 if conv is CONV else 7  # where the kernel fits, or each element that is spread
    counted = count(lambda: conv[1](x, torch.ones(shape), groups=groups))
    assert counted.forward == 2 * 2 * channels * length * 3


@pytest.mark.parametrize("way", [{}, {"stride": 2}, {"stride": 3, "padding": 1, "output_padding": 1}], ids=str)
@pytest.mark.parametrize(("image", "kernel"), SHAPES[:3], ids=str)
def test_transposed_every_element_meets_every_tap(count, image, kernel, way):
    x, w = torch.ones(2, 4, *image), torch.ones(4, 6, *kernel)
    counted = count(lambda: TRANSPOSED[len(image)](x, w, **way))
    assert counted.forward == 2 * (2 * 4 * 6) * x[0, 0].numel() * w[0, 0].numel()


@pytest.mark.parametrize("layer", [nn.Conv1d, nn.ConvTranspose1d])
@pytest.mark.parametrize("groups", [1, 2])
@pytest.mark.parametrize(("image_needs", "weight_needs"), [(True, True), (True, False), (False, True)])
def test_each_gradient_costs_what_the_forward_pass_did(count, layer, groups, image_needs, weight_needs):
    conv = layer(4, 6, 3, stride=2, groups=groups)
    conv.weight.requires_grad_(weight_needs)
    x = torch.ones(2, 4, 7, requires_grad=image_needs)
    counted = count(lambda: conv(x).sum().backward())
    assert counted.backward == (image_needs + weight_needs) * counted.forward


def test_a_convolution_with_time_first(count):
    T, B, C, K, taps = 7, 2, 3, 4, 3
    x, w = torch.ones(T, B, C, requires_grad=True), torch.ones(taps, C, K, requires_grad=True)
    counted = count(lambda: torch.conv_tbc(x, w, torch.ones(K)).sum().backward())
    assert counted.forward == 2 * (T - taps + 1) * B * K * C * taps
    assert counted.backward == 2 * counted.forward


def test_a_kernel_of_one_is_a_matrix_product(count):
    x, w = torch.ones(2, 4, 7), torch.ones(6, 4, 1)
    convolved = count(lambda: functional.conv1d(x, w))
    assert convolved.total == count(lambda: x.transpose(1, 2) @ w[:, :, 0].T).total


@pytest.mark.parametrize("conv", [CONV, TRANSPOSED], ids=["plain", "transposed"])
@pytest.mark.parametrize("way", ["trained", "no_grad", "inference"])
def test_a_complex_tap_takes_8_flops(count, conv, way):
    """PyTorch runs three real convolutions for the four of the formula."""
    mode = {"trained": torch.enable_grad, "no_grad": torch.no_grad, "inference": torch.inference_mode}[way]
    x, w = torch.ones(2, 4, 7, dtype=torch.complex64), torch.ones((6, 4, 3) if conv is CONV else (4, 6, 3))
    with mode():
        real = count(lambda: conv[1](x.real, w))
        assert count(lambda: conv[1](x, w.to(torch.complex64))).forward == 4 * real.forward


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("start", [0, 1])
def test_the_product_of_the_real_parts_stands_for_two(count, mode, start):
    w = torch.ones(6, 4, 3, dtype=torch.complex64)
    with mode():
        x = torch.ones(3, 4, 7, dtype=torch.complex64)[start:]
        first, *others = count(lambda: functional.conv1d(x, w)).calls.items()
    one = 2 * len(x) * 6 * 5 * 4 * 3
    assert (first[0].flops, first[1]) == (2 * one, 1)
    assert [(call.flops, calls) for call, calls in others if call.flops] == [(one, 2)]


def test_each_gradient_of_a_complex_convolution_costs_what_the_forward_pass_did(count):
    conv = nn.Conv1d(4, 6, 3, dtype=torch.complex64)
    x = torch.ones(2, 4, 7, dtype=torch.complex64, requires_grad=True)
    counted = count(lambda: conv(x).abs().sum().backward())
    assert counted.backward == 2 * counted.forward == 2 * 8 * 2 * 6 * 5 * 4 * 3


def test_every_second_number_of_a_real_image_are_not_a_real_part(count):
    x, w = torch.ones(2, 4, 14)[..., ::2], torch.ones(6, 4, 6)[..., ::2]
    assert count(lambda: functional.conv1d(x, w)).forward == 2 * 2 * 6 * 5 * 4 * 3
