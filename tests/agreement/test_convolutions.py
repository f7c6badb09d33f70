"""Test convolutions drawn at random: predicted == counted == torch's counter where that is right."""

from dataclasses import dataclass

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from flopbook.comparison import compare
from flopbook.measure import FlopCount, profile_flops
from flopbook.predict import axis, conv, evaluate, flops, matmul, training_step
from flopbook.predict.models import depthwise_separable, places, real_taps
from flopbook.tracing import trace

# ruff: noqa: PLR0913, PLR0917  (the arguments are sizes, one letter each)

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
        if self.transposed:
            return (size - 1) * stride + dilation * (kernel - 1) + 1 - 2 * padding
        return int(places(size, kernel, stride, padding, dilation))

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

    kernel, padding, dilation = each(1, 7), each(0, 3), each(1, 2)
    least = [max(1, d * (r - 1) + 1 - 2 * p) for r, p, d in zip(kernel, padding, dilation, strict=True)]
    drawn = Convolution(
        batch=draw(st.integers(1, 3)),
        groups=draw(st.integers(1, most_groups)),
        channels_in=draw(st.integers(1, 3)),
        channels_out=draw(st.integers(1, 3)),
        image=tuple(map(int.__add__, least, each(0, 4))),
        kernel=kernel,
        stride=each(1, 3),
        padding=padding,
        dilation=dilation,
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


few = settings(max_examples=12)
small, kernels = st.integers(1, 5), st.integers(1, 7)


def count_layer(layer, *shape, **factory):
    """Count a step of a layer on data that need their gradient."""
    image = torch.ones(*shape, requires_grad=True, **factory)
    with FlopCount() as counted:
        layer(image).abs().sum().backward()
    assert not counted.uncounted
    return counted


def of_images(G, K, C, P, Q, R, S, B=2):
    step = training_step(conv("x[B,G,C,X,Y] * w[G,K,C,R,S] -> y[B,G,K,P,Q]"))
    return [
        evaluate(phase, dict(B=B, G=G, K=K, C=C, P=P, Q=Q, R=R, S=S)) for phase in (step.forward[0].flops, step.flops)
    ]


@pytest.mark.filterwarnings("ignore:Using padding='same' with even kernel lengths")
@given(G=small, K=small, C=small, X=small, Y=small, R=kernels, S=kernels, dilation=st.integers(1, 3))
def test_padding_that_keeps_the_size_of_the_image(G, K, C, X, Y, R, S, dilation):
    layer = nn.Conv2d(G * C, G * K, (R, S), padding="same", groups=G, dilation=dilation, device="meta")
    counted = count_layer(layer, 2, G * C, X, Y, device="meta")
    assert [counted.forward, counted.total] == of_images(G, K, C, X, Y, R, S)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@few
@given(K=small, C=small, X=st.integers(4, 9), R=kernels, stride=st.integers(1, 3))
def test_what_the_padding_is_filled_with_does_not_matter(mode, K, C, X, R, stride):
    layer = nn.Conv2d(C, K, (R, 1), stride, padding=(R // 2, 0), padding_mode=mode)
    counted = count_layer(layer, 2, C, X, X + 1)
    P, Q = places(X, R, stride, R // 2), places(X + 1, 1, stride)
    assert [counted.forward, counted.total] == of_images(1, K, C, int(P), int(Q), R, 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64, torch.complex64])
@few
@given(G=small, K=small, C=small, R=kernels, S=kernels)
def test_a_complex_tap_counts_four_times_and_every_other_dtype_once(dtype, G, K, C, R, S):
    layer = nn.Conv2d(G * C, G * K, (R, S), groups=G, bias=False, dtype=dtype, device="meta")
    counted = count_layer(layer, 2, G * C, 8, 9, dtype=dtype, device="meta")
    times = 4 if dtype.is_complex else 1
    assert [counted.forward, counted.total] == [times * each for each in of_images(G, K, C, 9 - R, 10 - S, R, S)]


@few
@given(C=small, K=small, X=st.integers(7, 9), Y=st.integers(7, 9), R=kernels, S=kernels)
def test_a_depthwise_separable_pair(C, K, X, Y, R, S):
    pair = nn.Sequential(nn.Conv2d(C, C, (R, S), groups=C), nn.ReLU(), nn.Conv2d(C, K, 1))
    image = torch.ones(2, C, X, Y)
    with FlopCount() as counted:
        pair(image).sum().backward()
    sizes = dict(B=2, C=C, K=K, P=int(places(X, R)), Q=int(places(Y, S)), R=R, S=S)
    assert compare(depthwise_separable(), counted, sizes=sizes).agrees


@few
@given(C=small, K=small, X=st.integers(7, 9), Y=st.integers(7, 9), R=kernels, S=kernels)
def test_a_convolution_is_a_product_with_the_unfolded_image(C, K, X, Y, R, S):
    image, weight = torch.randn(2, C, X, Y), torch.randn(K, C, R, S)
    with FlopCount() as convolved:
        y = nn.functional.conv2d(image, weight)
    with FlopCount() as multiplied:
        z = weight.flatten(1) @ nn.functional.unfold(image, (R, S))
    product = matmul("w[K,M] @ u[B,M,N] -> y[B,K,N]")
    P, Q = int(places(X, R)), int(places(Y, S))
    torch.testing.assert_close(y, z.unflatten(2, (P, Q)), rtol=1e-4, atol=1e-4)
    predicted = evaluate(product.flops, dict(B=2, K=K, M=C * R * S, N=P * Q))
    assert multiplied.total == predicted == convolved.total


@given(
    size=st.integers(1, 9),
    kernel=kernels,
    stride=st.integers(1, 4),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
)
def test_real_taps_are_those_that_a_kernel_of_ones_adds_up(size, kernel, stride, padding, dilation):
    assume(size + 2 * padding >= dilation * (kernel - 1) + 1)
    ones = torch.ones(1, 1, size), torch.ones(1, 1, kernel)
    summed = nn.functional.conv1d(*ones, stride=stride, padding=padding, dilation=dilation)
    assert summed.shape[2] == places(size, kernel, stride, padding, dilation)
    assert summed[0, 0].tolist() == real_taps(size, kernel, stride, padding, dilation)


@pytest.mark.parametrize("transposed", [False, True])
def test_a_model_writes_the_formula_itself(transposed):
    """The kernel and the padding are numbers, the rest are letters."""
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    traced = trace(
        lambda C, K: kind(C, K, (3, 5), stride=2, padding=1),
        lambda B, C, X, Y: torch.empty((B, C, X, Y)),
        sizes=dict(B=2, C=3, K=5, X=11, Y=9),
    )
    X, Y = axis("X"), axis("Y")
    seen = (X, Y) if transposed else (places(X, 3, 2, 1), places(Y, 5, 2, 1))
    step = training_step(conv("x[B,C,X,Y] * w[K,C,R,S] -> y[B,K,P,Q]"), data="x")
    in_letters = {axis("P"): seen[0], axis("Q"): seen[1], axis("R"): 3, axis("S"): 5}
    for sizes in (dict(B=2, C=3, K=5, X=11, Y=9), dict(B=1, C=1, K=7, X=6, Y=13)):
        for written, predicted in zip((traced.forward, traced.backward), (step.forward, step.backward), strict=True):
            assert evaluate(written, sizes) == evaluate(flops(predicted).subs(in_letters), sizes)


@pytest.mark.parametrize("padding", [0, 1])
def test_a_kernel_that_fits_nowhere_is_refused(padding):
    with pytest.raises(ValueError, match="a kernel of 4 with dilation=2 does not fit into 4 with padding="):
        places(4, 4, padding=padding, dilation=2)
    assert places(4, 4, padding=2, dilation=2) == 2
