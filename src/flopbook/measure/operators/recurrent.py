"""Count fused recurrent layers as the unfused graph would run them.

A step multiplies its input and the state before it by the weights of all
gates. Backward, each weight and each state gets its gradient, but no product
is counted for what needs no gradient. The fused kernels may compute more than
that.
"""

import torch

from flopbook.measure.operators.names import contraction, pointwise, transcendental

#: Pointwise operations of an LSTM cell for each unit and step, forward and again backward:
#: biases and the sum of both halves 12, activations 5, and 4 to combine the states.
_LSTM_CELL, _LSTM_ACTIVATIONS = 21, 5
#: As many of a GRU cell: biases and the sum of two gates' halves 8, activations 3, and 5 to combine the states.
_GRU_CELL, _GRU_ACTIVATIONS = 16, 3


def _needed(position: int) -> bool:
    """Tell whether the backward pass needs the gradient of its node's input at a position."""
    node = torch._C._current_autograd_node()
    if node is None:
        return True
    input_of_it = node.next_functions[position][0]
    if input_of_it is None:
        return False
    try:
        return torch._C._will_engine_execute_node(input_of_it)
    except RuntimeError:  # the input is one of torch.autograd.grad's, where the graph ends
        return True


@contraction("mkldnn_rnn_layer")
def lstm_layer(out, data, weight_data, weight_state, *_, **__):
    """2 for each step, sample and weight: each step multiplies its input and the state before it."""
    steps_times_batch = data.shape[0] * data.shape[1]
    return 2 * steps_times_batch * (weight_data.numel() + weight_state.numel())


@contraction("mkldnn_rnn_layer_backward")
def lstm_layer_backward(out, data, weight_data, weight_state, *_, **__):
    """2 for each step, sample and weight, for the states between steps and for each gradient that is needed."""
    T, B = data.shape[:2]
    data_products = T * (_needed(1) + _needed(0))
    state_products = T * _needed(2) + T - 1 + _needed(5)
    return 2 * B * (weight_data.numel() * data_products + weight_state.numel() * state_products)


@pointwise("mkldnn_rnn_layer", "mkldnn_rnn_layer_backward")
def lstm_cells(out, data, weight_data, weight_state, *_, **__):
    """21 for each unit and step: biases and the sum of both halves 12, activations 5, states 4."""
    return _LSTM_CELL * data.shape[0] * data.shape[1] * weight_state.shape[1]


@transcendental("mkldnn_rnn_layer", "mkldnn_rnn_layer_backward")
def lstm_activations(out, data, weight_data, weight_state, *_, **__):
    """5 for each unit and step: the sigmoids of three gates, and two hyperbolic tangents."""
    return _LSTM_ACTIVATIONS * data.shape[0] * data.shape[1] * weight_state.shape[1]


@pointwise("_thnn_fused_lstm_cell", "_thnn_fused_lstm_cell_backward_impl")
def lstm_cell(out, first, second, memory, *_, **__):
    """21 for each unit of one step: biases and the sum of both halves 12, activations 5, states 4."""
    return _LSTM_CELL * memory.numel()


@transcendental("_thnn_fused_lstm_cell", "_thnn_fused_lstm_cell_backward_impl")
def lstm_cell_activations(out, first, second, memory, *_, **__):
    """5 for each unit of one step: the sigmoids of three gates, and two hyperbolic tangents."""
    return _LSTM_ACTIVATIONS * memory.numel()


@pointwise("_thnn_fused_gru_cell")
def gru_cell(out, from_data, from_state, state, *_, **__):
    """16 for each unit of one step: biases and the sum of two gates' halves 8, activations 3, states 5."""
    return _GRU_CELL * state.numel()


@transcendental("_thnn_fused_gru_cell")
def gru_cell_activations(out, from_data, from_state, state, *_, **__):
    """3 for each unit of one step: the sigmoids of two gates, and a hyperbolic tangent."""
    return _GRU_ACTIVATIONS * state.numel()


@pointwise("_thnn_fused_gru_cell_backward")
def gru_cell_backward(out, grad, *_, **__):
    """16 for each unit of one step: biases and the sum of two gates' halves 8, activations 3, states 5."""
    return _GRU_CELL * grad.numel()


@transcendental("_thnn_fused_gru_cell_backward")
def gru_cell_activations_backward(out, grad, *_, **__):
    """3 for each unit of one step: the derivatives of two sigmoids and of a hyperbolic tangent."""
    return _GRU_ACTIVATIONS * grad.numel()


def _parts(weights, per_layer: int, projected: bool):
    """Yield the number of weights of each layer and direction: on data, on state, projection."""
    for start in range(0, len(weights), per_layer):
        layer = weights[start : start + per_layer]
        yield layer[0].numel(), layer[1].numel(), layer[-1].numel() if projected else 0


def _tokens(data, batch_first: bool, batch_sizes) -> tuple[int, int]:
    """Return steps x batch, and the batch at the first step."""
    if batch_sizes:
        return sum(batch_sizes), batch_sizes[0]
    return data.shape[0] * data.shape[1], data.shape[0 if batch_first else 1]


def _backward(data, weights, per_layer, projected, batch_first, bidirectional, batch_sizes, needed) -> int:
    tokens, first = _tokens(data, batch_first, batch_sizes)
    total = 0
    for number, (on_data, on_state, projection) in enumerate(_parts(weights, per_layer, projected)):
        inner = number >= (2 if bidirectional else 1)  # a layer whose input is another layer's result
        total += needed[3] * tokens * (on_data + on_state + projection)
        total += (tokens if needed[0] or inner else 0) * on_data
        total += (tokens if needed[1] else tokens - first) * on_state + tokens * projection
    return 2 * total


@contraction("_cudnn_rnn")
def cudnn_rnn(
    out, data, weights, per_layer, buffer, hx, cx, mode, hidden, projection, layers, batch_first, dropout, train,
    bidirectional, batch_sizes, *_, **__,
):  # fmt: skip
    """2 for each step, sample and weight, in every layer and direction of cuDNN's."""
    tokens, _first = _tokens(data, batch_first, batch_sizes)
    return 2 * tokens * sum(map(sum, _parts(weights, per_layer, projection > 0)))


@contraction("_cudnn_rnn_backward")
def cudnn_rnn_backward(
    out, data, weights, per_layer, buffer, hx, cx, result, grad, grad_hy, grad_cy, mode, hidden, projection, layers,
    batch_first, dropout, train, bidirectional, batch_sizes, dropout_state, reserve, needed, **__,
):  # fmt: skip
    """2 for each step, sample and weight of cuDNN's, for the states between steps and each gradient that is needed."""
    return _backward(data, weights, per_layer, projection > 0, batch_first, bidirectional, batch_sizes, needed)


@contraction("miopen_rnn")
def miopen_rnn(
    out, data, weights, per_layer, hx, cx, mode, hidden, layers, batch_first, dropout, train, bidirectional,
    batch_sizes, *_, **__,
):  # fmt: skip
    """2 for each step, sample and weight, in every layer and direction of MIOpen's."""
    tokens, _first = _tokens(data, batch_first, batch_sizes)
    return 2 * tokens * sum(map(sum, _parts(weights, per_layer, False)))


@contraction("miopen_rnn_backward")
def miopen_rnn_backward(
    out, data, weights, per_layer, buffer, hx, cx, result, grad, grad_hy, grad_cy, mode, hidden, layers, batch_first,
    dropout, train, bidirectional, batch_sizes, dropout_state, reserve, needed, **__,
):  # fmt: skip
    """2 for each step, sample and weight of MIOpen's, for the states between steps and each gradient that is needed."""
    return _backward(data, weights, per_layer, False, batch_first, bidirectional, batch_sizes, needed)
