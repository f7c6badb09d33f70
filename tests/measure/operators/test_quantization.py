"""Test that quantized layers count integer operations."""

import pytest
import torch
from torch import nn
from torch.ao import quantization

pytestmark = pytest.mark.filterwarnings("ignore")  # PyTorch announces that torch.ao moves


def int8(*shape):
    return torch.ones(shape, dtype=torch.int8)


def dynamic(layer, dtype=torch.qint8):
    return quantization.quantize_dynamic(nn.Sequential(layer), {type(layer)}, dtype=dtype)


def static(*layers, data):
    model = nn.Sequential(quantization.QuantStub(), *layers, quantization.DeQuantStub()).eval()
    model.qconfig = quantization.get_default_qconfig("x86")
    prepared = quantization.prepare(model)
    prepared(data)
    return quantization.convert(prepared)


def test_an_integer_product_takes_2_operations_a_multiply_accumulate(count):
    counted = count(lambda: torch._int_mm(int8(32, 16), int8(16, 8)))
    assert (counted.integer["forward"], counted.total) == (2 * 32 * 16 * 8, 0)


def test_a_layer_that_is_quantized_dynamically(count):
    layer = dynamic(nn.Linear(4, 5))
    counted = count(lambda: layer(torch.ones(3, 4)))
    assert (counted.integer["forward"], counted.total, counted.uncounted) == (2 * 3 * 4 * 5, 0, {})


def test_a_layer_whose_weight_is_kept_in_16_bits_multiplies_floating_point_numbers(count):
    layer = dynamic(nn.Linear(4, 5), torch.float16)
    counted = count(lambda: layer(torch.ones(3, 4)))
    assert (counted.integer["forward"], counted.total) == (0, 2 * 3 * 4 * 5)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTM, 4), (nn.GRU, 3)])
@pytest.mark.parametrize("ways", [1, 2])
def test_a_recurrent_layer_that_is_quantized_dynamically(count, kind, gates, ways):
    T, B, D, H = 3, 2, 5, 6
    layer = dynamic(kind(D, H, 2, bidirectional=ways == 2))
    counted = count(lambda: layer(torch.ones(T, B, D)))
    assert counted.integer["forward"] == 2 * T * B * ways * gates * H * (D + H + ways * H + H)


@pytest.mark.parametrize(("kind", "gates"), [(nn.LSTMCell, 4), (nn.GRUCell, 3), (nn.RNNCell, 1)])
def test_a_cell_that_is_quantized_dynamically(count, kind, gates):
    layer = dynamic(kind(5, 6))
    assert count(lambda: layer(torch.ones(2, 5))).integer["forward"] == 2 * 2 * gates * 6 * (5 + 6)


CONVOLUTIONS = {
    1: (nn.Conv1d(4, 6, 3, groups=2), (2, 4, 7), 5),
    2: (nn.Conv2d(4, 6, 3, groups=2), (2, 4, 7, 6), 5 * 4),
    3: (nn.Conv3d(4, 6, (3, 1, 3), groups=2), (2, 4, 7, 1, 6), 5 * 4),
}


@pytest.mark.parametrize("dimensions", CONVOLUTIONS)
def test_a_quantized_convolution(count, dimensions):
    layer, shape, places = CONVOLUTIONS[dimensions]
    model = static(layer, data=torch.randn(shape))
    taps = 9 if dimensions > 1 else 3
    assert count(lambda: model(torch.randn(shape))).integer["forward"] == 2 * (2 * 6 * places) * 2 * taps


def test_a_quantized_linear_layer(count):
    model = static(nn.Linear(4, 5), data=torch.randn(3, 4))
    counted = count(lambda: model(torch.randn(3, 4)))
    assert counted.integer["forward"] == 2 * 3 * 4 * 5
    assert counted.pointwise["forward"] == 2 * 15  # back to floating point: subtract, scale


def test_fake_quantization_rounds_floating_point_numbers(count):
    x = torch.randn(3, 4, requires_grad=True)
    counted = count(lambda: torch.fake_quantize_per_tensor_affine(x, 0.1, 0, -128, 127).sum().backward())
    assert counted.pointwise["forward"] == 7 * 12 + 12  # and the sum
    assert counted.pointwise["backward"] == 12
