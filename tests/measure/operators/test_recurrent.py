"""Test that fused recurrent layers count what the unfused graph runs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from flopbook.measure.operators.recurrent import cudnn_rnn, cudnn_rnn_backward
from flopbook.measure.operators.registry import CONTRACTIONS, POINTWISE


def unfused(x, state, memory, weights):
    """Run one LSTM layer step by step."""
    on_data, on_state, *biases = weights
    first, second = biases or (None, None)
    results = []
    for gates in functional.linear(x, on_data, first):
        i, f, g, o = (gates + functional.linear(state, on_state, second)).chunk(4, -1)
        memory = f.sigmoid() * memory + i.sigmoid() * g.tanh()
        state = o.sigmoid() * memory.tanh()
        results.append(state)
    return torch.stack(results)


def unfused_layers(lstm, x, state, memory):
    per_layer = len(list(lstm.parameters())) // lstm.num_layers
    weights = list(lstm.parameters())
    for layer in range(lstm.num_layers):
        x = unfused(x, state[layer], memory[layer], weights[layer * per_layer :][:per_layer])
    return x


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("data_needs", [False, True])
@pytest.mark.parametrize("state_needs", [False, True])
def test_an_lstm(count, bias, layers, data_needs, state_needs):
    lstm = nn.LSTM(4, 5, layers, bias=bias)
    x = torch.ones(3, 2, 4, requires_grad=data_needs)
    state, memory = (torch.ones(layers, 2, 5, requires_grad=state_needs) for _ in range(2))
    fused = count(lambda: lstm(x, (state, memory))[0].sum().backward())
    written_out = count(lambda: unfused_layers(lstm, x, state, memory).sum().backward())
    assert list(fused.by_operator) == ["aten::mkldnn_rnn_layer_backward", "aten::mkldnn_rnn_layer"]
    assert (fused.forward, fused.backward) == (written_out.forward, written_out.backward)
    if bias:  # the fused layer adds two biases, of zeros where there are none
        assert fused.pointwise["forward"] == written_out.pointwise["forward"]
        assert fused.transcendental["forward"] == written_out.transcendental["forward"]


def test_both_directions_cost_twice(count):
    x = torch.ones(3, 2, 4)
    one, both = (nn.LSTM(4, 5, bidirectional=way) for way in (False, True))
    once, twice = (count(lambda lstm=lstm: lstm(x)[0].sum().backward()) for lstm in (one, both))
    assert (twice.forward, twice.backward) == (2 * once.forward, 2 * once.backward)


def test_batch_first_is_another_view_only(count):
    x = torch.ones(3, 2, 4)
    plain, turned = nn.LSTM(4, 5), nn.LSTM(4, 5, batch_first=True)
    assert count(lambda: plain(x)).forward == count(lambda: turned(x.transpose(0, 1))).forward


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNN, 1), (nn.GRU, 3), (nn.LSTM, 4)])
def test_each_gate_multiplies_data_and_state(count, kind, gates):
    T, B, D, H = 3, 2, 4, 5
    assert count(lambda: kind(D, H)(torch.ones(T, B, D))).forward == 2 * T * B * gates * H * (D + H)


@pytest.mark.parametrize(("kind", "gates"), [(nn.RNNCell, 1), (nn.GRUCell, 3), (nn.LSTMCell, 4)])
def test_a_cell_is_one_step(count, kind, gates):
    B, D, H = 2, 4, 5
    assert count(lambda: kind(D, H)(torch.ones(B, D))).forward == 2 * B * gates * H * (D + H)


@pytest.mark.parametrize(
    ("kind", "fused"), [(nn.LSTMCell, "aten::_thnn_fused_lstm_cell"), (nn.GRUCell, "aten::_thnn_fused_gru_cell")]
)
def test_the_fused_cell_of_an_accelerator_does_the_pointwise_arithmetic_of_the_unfused_one(count, kind, fused):
    cell = kind(4, 5)
    unfused = count(lambda: cell(torch.ones(2, 4)))
    assert POINTWISE[fused](None, None, None, torch.ones(2, 5)) == unfused.pointwise["forward"]


T, B, D, H = 5, 6, 8, 16
ON_DATA, ON_STATE = 4 * H * D, 4 * H * H  # weights


def gradients(lstm, x, inputs):
    return lambda: torch.autograd.grad(lstm(x)[0].sum(), inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fused", "unfused"])
def test_where_data_alone_needs_a_gradient_the_weights_get_none(count, dtype):
    lstm, x = nn.LSTM(D, H, dtype=dtype), torch.ones(T, B, D, dtype=dtype, requires_grad=True)
    counted = count(gradients(lstm, x, x))
    assert counted.backward == 2 * B * (T * ON_DATA + (T - 1) * ON_STATE) == 79_872


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fused", "unfused"])
def test_where_one_weight_needs_a_gradient_the_other_gets_none(count, dtype):
    lstm, x = nn.LSTM(D, H, dtype=dtype), torch.ones(T, B, D, dtype=dtype)
    on_state = count(lambda: lstm(x)[0].sum().backward(inputs=[lstm.weight_hh_l0]))
    on_data = count(lambda: lstm(x)[0].sum().backward(inputs=[lstm.weight_ih_l0]))
    assert on_state.backward == 2 * B * (T * ON_STATE + (T - 1) * ON_STATE)
    assert on_data.backward == 2 * B * (T * ON_DATA + (T - 1) * ON_STATE)


def test_of_one_step_the_states_weights_are_one_outer_product(count):
    lstm, x = nn.LSTM(3, 2), torch.ones(1, 1, 3)
    assert count(lambda: lstm(x)[0].sum().backward(inputs=[lstm.weight_hh_l0])).backward == 32


@pytest.mark.parametrize(("state_needs", "memory_needs"), [(True, False), (False, True)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["fused", "unfused"])
def test_the_first_memory_needs_no_product_and_the_first_state_one(count, dtype, state_needs, memory_needs):
    lstm = nn.LSTM(D, H, dtype=dtype).requires_grad_(False)
    x = torch.ones(T, B, D, dtype=dtype)
    state, memory = (torch.ones(1, B, H, dtype=dtype, requires_grad=needs) for needs in (state_needs, memory_needs))
    counted = count(lambda: lstm(x, (state, memory))[0].sum().backward())
    assert counted.backward == 2 * B * ON_STATE * (T - 1 + state_needs)


def test_the_inner_layers_data_is_the_outer_layers_result(count):
    """Its gradient is needed whatever is asked for, and that of the outer layer's data is not."""
    lstm, x = nn.LSTM(D, H, 2), torch.ones(T, B, D)
    counted = count(lambda: lstm(x)[0].sum().backward(inputs=[lstm.weight_ih_l0]))
    inner = T * ON_STATE + (T - 1) * ON_STATE
    assert counted.backward == 2 * B * (inner + T * ON_DATA + (T - 1) * ON_STATE)


def meta(*shape):
    return torch.empty(shape, device="meta")


def test_cudnn_of_two_layers_both_ways_with_a_projection():
    """4 units, projected to 3: each direction of the inner layer reads the 6 numbers of the outer one's both."""
    units, projected = 4, 3
    layers = [D, D, 2 * projected, 2 * projected]
    weights = [w for width in layers for w in (meta(16, width), meta(16, projected), meta(projected, units))]
    each = [(16 * width, 16 * projected, projected * units) for width in layers]
    x, state = meta(B, T, D), meta(4, B, projected)
    forward = (x, weights, 3, None, state, state, 2, units, projected, 2, True, 0.0, True, True, [], None)
    assert CONTRACTIONS["aten::_cudnn_rnn"](None, *forward) == 2 * T * B * sum(map(sum, each))
    backward = (x, weights, 3, None, state, state, x, x, None, None, 2, units, projected, 2, True, 0.0, True, True, [],
                None, x, [False, False, False, True])  # fmt: skip
    products = sum(2 * T * B * (data + state + projection) for data, state, projection in each)
    products += sum(2 * T * B * data for data, _, _ in each[2:])
    products += sum(2 * (T - 1) * B * state + 2 * T * B * projection for _, state, projection in each)
    assert CONTRACTIONS["aten::_cudnn_rnn_backward"](None, *backward) == products


def test_in_cudnn_too_the_inner_layers_data_is_the_outer_layers_result():
    weights = [w for width in (D, H) for w in (meta(4 * H, width), meta(4 * H, H), meta(4 * H), meta(4 * H))]
    x, state = meta(T, B, D), meta(2, B, H)
    given = None, x, weights, 4, None, state, state, x, x, None, None, 2, H, 0, 2, False, 0.0, True, False, [], None, x
    states = 2 * 2 * (T - 1) * B * 4 * H * H
    assert cudnn_rnn_backward(*given, [False, False, False, False]) == states + 2 * T * B * 4 * H * H


def test_cudnn_of_a_packed_sequence_counts_the_samples_that_are_left_at_each_step():
    sizes = [3, 2, 2, 1]
    x, state = meta(8, D), meta(1, 3, H)
    weights = [meta(4 * H, D), meta(4 * H, H), meta(4 * H), meta(4 * H)]
    forward = (x, weights, 4, None, state, state, 2, H, 0, 1, False, 0.0, True, False, sizes, None)
    assert CONTRACTIONS["aten::_cudnn_rnn"](None, *forward) == 2 * 8 * (ON_DATA + ON_STATE)
    options = None, None, 2, H, 0, 1, False, 0.0, True, False, sizes, None, x
    backward = (x, weights, 4, None, state, state, x, x, *options, [True, True, False, False])
    assert CONTRACTIONS["aten::_cudnn_rnn_backward"](None, *backward) == 2 * 8 * (ON_DATA + ON_STATE)
    backward = (*backward[:-1], [False, False, False, False])
    assert CONTRACTIONS["aten::_cudnn_rnn_backward"](None, *backward) == 2 * (8 - 3) * ON_STATE


@pytest.mark.parametrize(("cell", "gates"), [(nn.LSTMCell, 5), (nn.GRUCell, 3)])
def test_the_activations_of_a_cell_are_transcendental(count, cell, gates):
    assert count(lambda: cell(4, 5)(torch.ones(2, 4))).transcendental["forward"] == gates * 2 * 5


@pytest.mark.parametrize("projection", [1, 2])
def test_a_projection_is_one_weight_more(projection):
    weights = [torch.empty(shape, device="meta") for shape in [(16, 3), (16, projection), 16, 16, (projection, 4)]]
    data, kept = torch.empty(5, 2, 3, device="meta"), 10 * (16 * 3 + 16 * projection + projection * 4)
    shape = 2, 4, projection, 1, False, 0.0, True, False, []
    assert cudnn_rnn(None, data, weights, 5, None, None, None, *shape) == 2 * kept
    given = None, data, weights, 5, None, None, None, None, None, None, None
    needed = [True, True, True, True]
    assert cudnn_rnn_backward(*given, *shape, None, None, needed) == 4 * kept
