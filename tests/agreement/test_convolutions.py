"""Test convolutions drawn at random: predicted == counted == torch's counter where that is right."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import conv, evaluate, training_step

LAYERS = {
    False: (nn.Conv1d, nn.Conv2d, nn.Conv3d),
    True: (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d),
}
IMAGE, RESULT, KERNEL = "XYZ", "PQR", "UVW"


@dataclass(frozen=True)
class Convolution:
    """Holds batch, groups, channels of a group, and size, kernel, stride, padding, dilation by axis."""

    batch: int
    groups: int
    channels_in: int
    channels_out: int
    image: tuple[int, ...]
    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    padding: tuple[int, ...]
    dilation: tuple[int, ...]
    bias: bool
    transposed: bool
    data_needs: bool
    frozen: bool

    @property
    def result(self):
        """Return the size of each spatial axis of the result."""
        return tuple(map(self._length, self.image, self.kernel, self.stride, self.padding, self.dilation))

    def _length(self, size, kernel, stride, padding, dilation):
        reach = dilation * (kernel - 1) + 1
        if self.transposed:
            return (size - 1) * stride + reach - 2 * padding
        return (size + 2 * padding - reach) // stride + 1

    @property
    def sizes(self):
        numbers = self.batch, self.groups, self.channels_in, self.channels_out, *self.image, *self.result, *self.kernel
        rank = len(self.image)
        return dict(zip("BGCK" + IMAGE[:rank] + RESULT[:rank] + KERNEL[:rank], numbers, strict=True))

    @property
    def step(self):
        """Predict the step; a transposed convolution is the gradient of the opposite one."""
        x, y, w = (",".join(letters[: len(self.image)]) for letters in (IMAGE, RESULT, KERNEL))
        if self.transposed:
            product = conv(f"y[B,G,K,{y}] * w[G,K,C,{w}] -> x[B,G,C,{x}]").gradients[1]
        else:
            product = conv(f"x[B,G,C,{x}] * w[G,K,C,{w}] -> y[B,G,K,{y}]")
        data = () if self.data_needs else product.left.name
        return training_step(product, data=data, frozen="w" if self.frozen else ())

    def build(self, device):
        """Build the step to measure, which knows nothing of the prediction but the sizes."""
        rank, groups = len(self.image), self.groups
        channels = self.channels_in * groups, self.channels_out * groups
        ways = {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}
        kind = LAYERS[self.transposed][rank - 1]
        layer = kind(*channels, self.kernel, groups=groups, bias=self.bias, device=device, **ways)
        layer.requires_grad_(not self.frozen)
        x = torch.ones(self.batch, channels[0], *self.image, device=device, requires_grad=self.data_needs)

        def run():
            y = layer(x)
            if y.requires_grad:
                y.square().mean().backward()

        return run


@st.composite
def convolutions(draw, most_groups=3):
    rank = draw(st.integers(1, 3))

    def each(low, high):
        return tuple(draw(st.integers(low, high)) for _ in range(rank))

    drawn = Convolution(
        batch=draw(st.integers(1, 3)),
        groups=draw(st.integers(1, most_groups)),
        channels_in=draw(st.integers(1, 3)),
        channels_out=draw(st.integers(1, 3)),
        image=each(1, 7),
        kernel=each(1, 3),
        stride=each(1, 3),
        padding=each(0, 2),
        dilation=each(1, 2),
        bias=draw(st.booleans()),
        transposed=draw(st.booleans()),
        data_needs=draw(st.booleans()),
        frozen=draw(st.booleans()),
    )
    assume(min(drawn.result) >= 1)
    return drawn


def count(convolution, device):
    with FlopCount() as counted:
        convolution.build(device)()
    return counted


@given(convolution=convolutions())
def test_predicted_and_counted_agree(device, convolution):
    table = compare(convolution.step, count(convolution, device), sizes=convolution.sizes)
    assert table.agrees, table


@given(convolution=convolutions(), number=st.integers(0, 2))
def test_a_step_with_a_product_forgotten_disagrees(device, without, convolution, number):
    wrong = without(convolution.step, number)
    assert not compare(wrong, count(convolution, device), sizes=convolution.sizes).agrees


@given(convolution=convolutions())
def test_a_formula_with_the_kernel_forgotten_disagrees(device, convolution):
    assume(max(convolution.kernel) > 1)
    without_kernel = convolution.sizes | dict.fromkeys(KERNEL[: len(convolution.kernel)], 1)
    assert not compare(convolution.step, count(convolution, device), sizes=without_kernel).agrees


@given(convolution=convolutions(most_groups=1))
def test_torchs_own_counter_agrees_without_groups(device, convolution):
    with FlopCounterMode(display=False) as theirs:
        convolution.build(device)()
    assert theirs.get_total_flops() == evaluate(convolution.step.flops, convolution.sizes)


PLAIN = {"bias": True, "transposed": False, "data_needs": True, "frozen": False}
IMAGES = [
    Convolution(2, 1, 3, 5, (7, 11), (3, 2), (1, 1), (0, 0), (1, 1), **PLAIN),
    Convolution(2, 1, 3, 5, (11, 9), (3, 5), (2, 2), (1, 2), (1, 1), **PLAIN),
    Convolution(1, 1, 1, 1, (5, 5), (3, 3), (1, 1), (2, 2), (2, 2), **PLAIN),
    Convolution(1, 3, 4, 5, (8, 10), (3, 2), (1, 1), (0, 0), (1, 1), **PLAIN),
    Convolution(2, 7, 1, 1, (5, 6), (3, 3), (1, 1), (1, 1), (1, 1), **PLAIN),
]


@pytest.mark.parametrize("convolution", IMAGES, ids=["plain", "strided", "dilated", "grouped", "depthwise"])
def test_the_profiler_agrees_on_the_forward_pass_of_an_image(device, convolution):
    """Of the backward pass it says nothing."""
    profiled = profile_flops(convolution.build(device))
    assert profiled.forward == evaluate(convolution.step.forward[0].flops, convolution.sizes)
    assert profiled.backward == 0
