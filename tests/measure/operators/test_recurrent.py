"""Fused recurrent layers count what the unfused graph runs."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from flopbook.measure.operators import POINTWISE


def unfused(x, state, memory, weights):
    """One LSTM layer written out, step by step."""
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
    assert fused.pointwise["forward"] == written_out.pointwise["forward"] or not bias


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
