"""Test the bytes that operators read and write, each derived by hand."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy, scaled_dot_product_attention
from torch.nn.utils import clip_grad_norm_
from torch.ops import aten
from torch.utils.checkpoint import checkpoint

from flopbook.measure import FlopCount
from flopbook.measure.operators import traffic
from flopbook.measure.report.chrome_trace import OrderedCount
from flopbook.measure.report.work import watch_bytes, works

B, D, K = 7, 5, 3
F4 = 4  # bytes of a number


def measured(step):
    """Return the bytes that a step's operators read and write, by phase and operator."""
    with OrderedCount() as counted, watch_bytes(counted.place) as moved:
        step()
    rows: dict[tuple[str, str], list[int]] = {}
    for row in works(moved, counted.calls):
        before = rows.setdefault((row.phase, row.operator.removeprefix("aten::")), [0, 0])
        before[0] += row.read
        before[1] += row.written
    return {place: tuple(both) for place, both in rows.items()}


def only(step):
    """Return bytes read and bytes written of all operators together."""
    found = measured(step).values()
    return sum(read for read, _ in found), sum(written for _, written in found)


def ones(*shape, dtype=torch.float32, **options):
    return torch.ones(*shape, dtype=dtype, **options)


def test_a_linear_layer_reads_data_weight_and_bias_and_writes_its_result():
    layer, x = nn.Linear(D, K), ones(B, D)
    assert only(lambda: layer(x)) == (F4 * (B * D + D * K + K), F4 * B * K)


def test_the_gradients_of_a_linear_layer():
    layer, x, dy = nn.Linear(D, K), ones(B, D, requires_grad=True), torch.randn(B, K)
    y = layer(x)
    found = measured(lambda: y.backward(dy))
    of_data, of_weight, of_bias = (B * K + D * K, B * D), (B * K + B * D, D * K), (B * K, K)
    assert found["backward", "mm"] == tuple(F4 * sum(both) for both in zip(of_data, of_weight, strict=True))
    assert found["backward", "sum"] == tuple(F4 * number for number in of_bias)


def test_a_convolution_and_its_gradients():
    C, H = 3, 8
    layer, x = nn.Conv2d(C, K, 3), ones(2, C, H, H)
    data, weight, result = 2 * C * H * H, K * C * 9, 2 * K * (H - 2) ** 2
    assert only(lambda: layer(x)) == (F4 * (data + weight + K), F4 * result)
    y, dy = layer(x), torch.randn(2, K, H - 2, H - 2)
    found = measured(lambda: y.backward(dy))  # nobody needs the data's gradient, so the weight is not read
    assert found["backward", "convolution_backward"] == (F4 * (result + data), F4 * (weight + K))
    x.requires_grad_()
    y = layer(x)
    found = measured(lambda: y.backward(dy))
    assert found["backward", "convolution_backward"] == (F4 * (result + data + weight), F4 * (weight + K + data))


def test_fused_attention_reads_its_inputs_once_and_keeps_a_number_of_each_row():
    N, T, S, E = 2, 6, 4, 8
    q, k, v = (torch.randn(1, N, length, E, requires_grad=True) for length in (T, S, S))
    with sdpa_kernel(SDPBackend.FLASH_ATTENTION):
        assert only(lambda: scaled_dot_product_attention(q, k, v)) == (F4 * N * E * (T + 2 * S), F4 * N * (T * E + T))
        y, dy = scaled_dot_product_attention(q, k, v), torch.randn(1, N, T, E)
        ((read, written),) = (row for place, row in measured(lambda: y.backward(dy)).items() if "attention" in place[1])
    assert read == F4 * N * (3 * T * E + 2 * S * E + T)  # gradient, result, queries, keys, values, what is kept
    assert written == F4 * N * E * (T + 2 * S)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64, torch.complex64])
def test_pointwise_operators_read_their_operands_and_write_their_result(dtype):
    x, y = ones(B, D, dtype=dtype), ones(B, D, dtype=dtype)
    size = B * D * dtype.itemsize
    assert only(lambda: x + y) == (2 * size, size)
    assert only(lambda: x * x) == (size, size)  # the same tensor is read once
    assert only(lambda: x + 1) == (size, size)
    assert only(lambda: x + y[0]) == (size + D * dtype.itemsize, size)


def test_in_place_operators_write_what_they_read():
    x, y = ones(B, D), ones(B, D)
    assert only(lambda: x.add_(y)) == (2 * F4 * B * D, F4 * B * D)
    assert only(lambda: torch.relu_(x)) == (F4 * B * D, F4 * B * D)
    assert only(lambda: torch.add(x, y, out=y)) == (2 * F4 * B * D, F4 * B * D)
    assert only(lambda: torch.add(x, x, out=y)) == (F4 * B * D, F4 * B * D)


def test_what_overwrites_does_not_read_what_was_there():
    x, y = ones(B, D), ones(B, D)
    assert only(x.zero_) == only(lambda: x.fill_(3)) == only(x.normal_) == (0, F4 * B * D)
    assert only(lambda: x.copy_(y)) == (F4 * B * D, F4 * B * D)
    assert only(lambda: torch.zeros(B, D)) == only(lambda: torch.rand_like(x)) == (0, F4 * B * D)
    assert only(lambda: torch.empty(B, D)) == only(lambda: torch.empty_like(x)) == (0, 0)


@pytest.mark.parametrize(
    "view",
    [
        lambda x: x.t(),
        lambda x: x.view(-1),
        lambda x: x.reshape(D, B),
        lambda x: x[2:4, None],
        lambda x: x.expand(9, B, D),
        lambda x: x.chunk(2),
        lambda x: x.detach(),
        lambda x: x.contiguous(),
        lambda x: x.unsqueeze_(0).squeeze_(0),
        lambda x: x.unfold(1, 2, 1),
        lambda x: torch.ops.aten._unsafe_view(x, [D, B]),
        lambda x: x.flatten().split(3),
    ],
)
def test_views_move_nothing(view):
    x = ones(B, D)
    assert only(lambda: view(x)) == (0, 0)


Q = ones(1, 2, 3, 4)


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [
        (aten._fused_sdp_choice, (Q, Q, Q)),
        (aten.is_same_size, (Q, Q)),
        (aten.record_stream, (Q, None)),
        (aten._resize_output_, (Q, [5, 6], "cpu")),
        (aten.empty_like, (Q,)),
        (aten.empty_permuted, ([B, D], [1, 0])),
        (aten.empty_strided, ([B, D], [1, B])),
        (aten.new_empty, (Q, [B, D])),
        (aten.new_empty_strided, (Q, [B, D], [1, B])),
    ],
    ids=str,
)
def test_what_asks_for_sizes_or_makes_room_moves_nothing(operator, arguments):
    not_here = operator in {aten.record_stream, aten._resize_output_}  # which accelerators run
    result = Q if not_here else operator(*arguments)
    assert traffic.moved(operator.default, result, arguments, {}) == (0, 0)


def test_what_gives_a_tensor_another_memory_moves_nothing():
    x, other = ones(B, D), ones(B, K)
    assert only(lambda: x.resize_(8, D)) == only(lambda: x.set_(other)) == (0, 0)


def test_copies_of_views_move():
    x = ones(B, D)
    assert only(lambda: x.t().contiguous()) == (F4 * B * D, F4 * B * D)
    assert only(lambda: torch.cat([x, x])) == (F4 * B * D, 2 * F4 * B * D)
    assert only(lambda: x.to(torch.bfloat16)) == (F4 * B * D, 2 * B * D)


def test_an_axis_of_one_number_makes_no_other_tensor():
    row = ones(D)
    assert only(lambda: row + row[None]) == (F4 * D, F4 * D)
    assert only(lambda: row + row[:1]) == (F4 * (D + 1), F4 * D)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors")
@pytest.mark.parametrize("layout", [torch.strided, torch.jagged])
def test_a_nested_tensor_holds_the_numbers_of_all_that_it_nests(layout):
    nested = torch.nested.nested_tensor([ones(3, D), ones(4, D)], layout=layout)
    size = F4 * 7 * D
    assert only(lambda: nested * nested) == (size, size)
    assert only(lambda: nested * nested.clone()) == (3 * size, 2 * size)


def test_what_repeats_along_an_axis_is_read_once():
    row = ones(1, D)
    assert only(lambda: row.expand(B, D) + ones(B, D)) == (F4 * (D + B * D), 2 * F4 * B * D)
    assert only(lambda: row.expand(B, D).contiguous()) == (F4 * D, F4 * B * D)


def test_a_lookup_reads_the_rows_that_it_returns():
    table, ids = nn.Embedding(1000, D), torch.zeros(B, dtype=torch.int64)
    assert only(lambda: table(ids)) == (F4 * B * D + 8 * B, F4 * B * D)
    assert only(lambda: table.weight.detach()[ids]) == (F4 * B * D + 8 * B, F4 * B * D)
    assert only(lambda: table.weight.detach().index_select(0, ids)) == (F4 * B * D + 8 * B, F4 * B * D)
    assert only(lambda: aten._unsafe_index(table.weight.detach(), [ids])) == (F4 * B * D + 8 * B, F4 * B * D)
    assert only(lambda: table.weight.detach().take(ids)) == (F4 * B + 8 * B, F4 * B)
    two_rows = torch.zeros(2, D, dtype=torch.int64)
    assert only(lambda: table.weight.detach().gather(0, two_rows)) == (F4 * 2 * D + 8 * 2 * D, F4 * 2 * D)
    y = table(ids)
    found = measured(lambda: y.backward(torch.randn(B, D)))
    assert found["backward", "embedding_dense_backward"] == (F4 * B * D + 8 * B, F4 * 1000 * D)  # a whole table


def test_values_are_put_where_they_go_and_nowhere_else():
    target, ids, values = torch.zeros(1000, D), torch.zeros(B, dtype=torch.int64), torch.randn(B, D)
    size = F4 * B * D
    assert only(lambda: target.index_add_(0, ids, values)) == (2 * size + 8 * B, size)
    assert only(lambda: target.index_copy_(0, ids, values)) == (size + 8 * B, size)
    assert only(lambda: target.index_put_((ids,), values)) == (size + 8 * B, size)
    assert only(lambda: target.index_put_((ids,), values, accumulate=True)) == (2 * size + 8 * B, size)
    assert only(lambda: aten._index_put_impl_(target, [ids], values)) == (size + 8 * B, size)
    assert only(lambda: aten._index_put_impl_(target, [ids], values, True)) == (2 * size + 8 * B, size)
    each = ids[:, None].expand(B, D)  # which repeats, so that it is read once
    assert only(lambda: target.scatter_(0, each, values)) == (size + 8 * B, size)
    assert only(lambda: target.scatter_add_(0, each, values)) == (2 * size + 8 * B, size)
    assert only(lambda: target.scatter_reduce_(0, each, values, "amax")) == (2 * size + 8 * B, size)


def test_one_value_is_put_at_every_index_or_anywhere_that_a_mask_allows():
    target, rows, columns = torch.zeros(100, 4, D), torch.tensor([1, 2, 3]), torch.tensor([[0], [1]])
    five = torch.tensor(5.0)
    assert only(lambda: target.index_put_((rows,), five)) == (8 * 3 + F4, F4 * 3 * 4 * D)
    assert only(lambda: target.index_put_((rows, columns), five)) == (8 * 5 + F4, F4 * 6 * D)
    at_columns = lambda: torch.ops.aten.index_put_(target, [None, columns], five)  # noqa: E731
    assert only(at_columns) == (8 * 2 + F4, F4 * 100 * 2 * D)
    line, mask, values = torch.zeros(B), torch.arange(B) > 2, torch.ones(B - 3)
    last, two = torch.arange(B) > B - 3, torch.ones(2)
    assert only(lambda: line.index_put_((mask,), five)) == (B + F4, F4 * B)
    assert only(lambda: line.index_put_((mask,), values)) == (B + F4 * (B - 3), F4 * (B - 3))
    assert only(lambda: line.index_put_((last,), two)) == (B + F4 * 2, F4 * 2)
    index = torch.zeros(2, 1, dtype=torch.int64)
    assert only(lambda: torch.zeros(B, D).scatter_(1, index, 1.0)) == (8 * 2, F4 * B * D + F4 * 2)


def test_a_bag_reads_the_rows_that_it_sums():
    bag, ids = nn.EmbeddingBag(1000, D), torch.zeros(B, 2, dtype=torch.int64)
    read, _ = measured(lambda: bag(ids))["forward", "_embedding_bag"]
    assert read == F4 * 2 * B * D + 8 * 2 * B + 8 * B  # rows, indices, and where each bag begins


def test_a_loss_over_classes_reads_one_number_of_each_row():
    x, classes = ones(B, K), torch.zeros(B, dtype=torch.int64)
    found = measured(lambda: cross_entropy(x, classes))
    assert found["forward", "_log_softmax"] == (F4 * B * K, F4 * B * K)
    assert found["forward", "nll_loss_forward"] == (F4 * B + 8 * B, 2 * F4)  # the loss, and the sum of weights


@pytest.mark.parametrize("fused", [True, False])
def test_an_update_of_adam(fused):
    layer = nn.Linear(D, K, bias=False)
    layer.weight.grad = torch.randn(K, D)
    optimizer = torch.optim.AdamW(layer.parameters(), fused=fused)
    optimizer.step()
    if fused:  # parameters, gradients, both moments and a step of float32 are read; gradients are not written
        assert measured(optimizer.step)["optimizer", "_fused_adamw_"] == (F4 * (4 * K * D + 1), F4 * 3 * K * D)
    else:
        assert all(phase == "optimizer" for phase, _ in measured(optimizer.step))


def test_an_operator_of_ones_own_may_change_what_it_calls_gradients():
    @torch.library.custom_op("flopbook_traffic::halve", mutates_args=("grads",))
    def halve(grads: torch.Tensor) -> None:
        grads.mul_(0.5)

    assert traffic.moved(torch.ops.flopbook_traffic.halve.default, None, (ones(6, 2),), {}) == (48, 48)


def test_lists_of_tensors_are_read_one_by_one():
    left, right = [ones(B), ones(D)], [ones(B), ones(D)]
    assert only(lambda: torch._foreach_add_(left, right)) == (2 * F4 * (B + D), F4 * (B + D))
    assert only(lambda: torch._foreach_zero_(left)) == (0, F4 * (B + D))


def test_a_sparse_matrix_is_read_as_it_is_stored():
    matrix, x = torch.eye(B).to_sparse(), ones(B, D)
    added_to = F4 * B * D  # PyTorch makes zeros, and adds the product to them
    assert only(lambda: torch.sparse.mm(matrix, x))[0] == B * (F4 + 2 * 8) + F4 * B * D + added_to


def test_on_the_meta_device_the_bytes_are_the_same():
    def both(device):
        layer, x = nn.Linear(D, K, device=device), torch.ones(B, D, device=device)
        return measured(lambda: layer(x).square().mean().backward())

    assert both("meta") == both("cpu")


def test_bytes_stand_at_the_module_and_the_phase_that_move_them():
    net = nn.Sequential(nn.Linear(D, K), nn.Tanh())
    x = ones(B, D, requires_grad=True)
    with OrderedCount() as counted, watch_bytes(counted.place) as moved:
        checkpoint(net, x, use_reentrant=False).sum().backward()
    tanh = {(phase, module): both for (phase, module, name), both in moved.items() if name == "aten::tanh"}
    assert tanh == {(phase, "Sequential.1"): (F4 * B * K, F4 * B * K) for phase in ("forward", "recomputed")}
    back = next(module for _, module, name in moved if name == "aten::tanh_backward")
    assert back == "Sequential.1"


def test_what_clips_gradients_belongs_to_the_update():
    layer = nn.Linear(D, K)
    layer(ones(B, D)).sum().backward()
    with OrderedCount() as counted, watch_bytes(counted.place) as moved:
        clip_grad_norm_(layer.parameters(), 1.0)
    assert {phase for phase, *_ in moved} == {"optimizer"}


def test_a_count_is_the_same_with_and_without_bytes():
    net = nn.Sequential(nn.Embedding(11, 6), nn.TransformerEncoderLayer(6, 2, 12, batch_first=True), nn.LayerNorm(6))
    optimizer = torch.optim.Adam(net.parameters())
    ids = torch.randint(11, (3, 5))

    def step():
        optimizer.zero_grad()
        net(ids).square().mean().backward()
        optimizer.step()

    step()
    with FlopCount() as alone:
        step()
    with OrderedCount() as beside, watch_bytes(beside.place):
        step()
    assert beside.calls == alone.calls
    assert beside.breakdown == alone.breakdown


sizes = st.integers(1, 12)


@settings(deadline=None, max_examples=40)
@given(B=sizes, D=sizes, K=sizes, dtype=st.sampled_from([torch.float32, torch.bfloat16]), bias=st.booleans())
def test_a_linear_layer_at_any_size(B, D, K, dtype, bias):
    layer, x = nn.Linear(D, K, bias=bias, dtype=dtype), torch.randn(B, D).to(dtype)
    numbers = (B * D + D * K + K * bias, B * K)
    assert only(lambda: layer(x)) == tuple(dtype.itemsize * number for number in numbers)


@settings(deadline=None, max_examples=40)
@given(shape=st.lists(sizes, min_size=1, max_size=3), terms=st.integers(1, 4))
def test_a_chain_of_sums_moves_each_result_twice(shape, terms):
    x = torch.randn(shape)

    def step():
        y = x
        for _ in range(terms):
            y = y + 1

    assert only(step) == (F4 * x.numel() * terms, F4 * x.numel() * terms)
