"""Fused recurrent layers, counted as the unfused graph would run them.

A step multiplies its input and the state before it by the weights of all
gates. Backward, each weight and each state gets its gradient, but no product
is counted for data that needs no gradient or for an initial state that needs
none. The fused kernels may compute more than that.
"""

import torch

from flopbook.measure.operators.registry import aten, flop_rule, pointwise_rule

#: Pointwise operations of an LSTM cell for each unit and step, forward and again backward:
#: biases and the sum of both halves 12, activations 5, and 4 to combine the states.
_LSTM_CELL = 21
#: As many of a GRU cell: biases and the sum of two gates' halves 8, activations 3, and 5 to combine the states.
_GRU_CELL = 16


def _needed(position: int) -> bool:
    """Whether the input at this position of the node that runs now needs a gradient."""
    node = torch._C._current_autograd_node()
    return node is None or node.next_functions[position][0] is not None


@flop_rule(aten.mkldnn_rnn_layer)
def lstm_layer(out, data, weight_data, weight_state, *_, **__):
    """Each step multiplies its input and the state before it by the weights of all four gates."""
    steps_times_batch = data.shape[0] * data.shape[1]
    return 2 * steps_times_batch * (weight_data.numel() + weight_state.numel())


@flop_rule(aten.mkldnn_rnn_layer_backward)
def lstm_layer_backward(out, data, weight_data, weight_state, *_, **__):
    """Gradients of the weights, of the states between steps, and of what else needs one."""
    T, B = data.shape[:2]
    data_products = T * (_needed(1) + _needed(0))
    state_products = T * _needed(2) + T - 1 + _needed(5)
    return 2 * B * (weight_data.numel() * data_products + weight_state.numel() * state_products)


@pointwise_rule(aten.mkldnn_rnn_layer, aten.mkldnn_rnn_layer_backward)
def lstm_cells(out, data, weight_data, weight_state, *_, **__):
    """Biases, activations and the new state: 21 for each unit and step."""
    return _LSTM_CELL * data.shape[0] * data.shape[1] * weight_state.shape[1]


@pointwise_rule(aten._thnn_fused_lstm_cell, aten._thnn_fused_lstm_cell_backward_impl)
def lstm_cell(out, first, second, memory, *_, **__):
    """All but the products of one step: 21 for each unit."""
    return _LSTM_CELL * memory.numel()


@pointwise_rule(aten._thnn_fused_gru_cell)
def gru_cell(out, from_data, from_state, state, *_, **__):
    """All but the products of one step: 16 for each unit."""
    return _GRU_CELL * state.numel()


@pointwise_rule(aten._thnn_fused_gru_cell_backward)
def gru_cell_backward(out, grad, *_, **__):
    """The same."""
    return _GRU_CELL * grad.numel()


def _cudnn_parts(weights, per_layer: int, projected: bool):
    """Weights of every layer and direction: on data, on the state, and of the projection."""
    for start in range(0, len(weights), per_layer):
        layer = weights[start : start + per_layer]
        yield layer[0].numel(), layer[1].numel(), layer[-1].numel() if projected else 0


def _tokens(data, batch_first: bool, batch_sizes) -> tuple[int, int]:
    """Steps x batch, and the batch at the first step; a packed sequence lists its own."""
    if batch_sizes:
        return sum(batch_sizes), batch_sizes[0]
    return data.shape[0] * data.shape[1], data.shape[0 if batch_first else 1]


@flop_rule(aten._cudnn_rnn)
def cudnn_rnn(out, data, weights, per_layer, buffer, hx, cx, mode, hidden, projection, *rest, **__):
    """Each step multiplies its input and the state before it by the weights of all gates."""
    tokens, _ = _tokens(data, rest[1], rest[5])
    return 2 * tokens * sum(map(sum, _cudnn_parts(weights, per_layer, projection > 0)))


@flop_rule(aten._cudnn_rnn_backward)
def cudnn_rnn_backward(out, data, weights, per_layer, *rest, **__):
    """Gradients of the weights, of the states between steps, and of what else needs one."""
    projection, batch_first, batch_sizes, needed = rest[9], rest[11], rest[15], rest[18]
    directions = 2 if rest[14] else 1
    tokens, first = _tokens(data, batch_first, batch_sizes)
    total = 0
    for number, parts in enumerate(_cudnn_parts(weights, per_layer, projection > 0)):
        on_data, on_state, projected = parts
        into_data = tokens if needed[0] or number >= directions else 0
        into_state = tokens if needed[1] else tokens - first
        total += needed[3] * tokens * sum(parts)
        total += into_data * on_data + into_state * on_state + tokens * projected
    return 2 * total
