"""Test matrix products of every shape against the product of their sizes."""

import pytest
import torch
from torch import nn, ones
from torch.nn import functional
from torch.ops import aten

from flopbook.counts.tally import Total
from flopbook.measure.operators.products import nested_product_backward
from flopbook.measure.operators.registry import CONTRACTIONS


def int8(*shape):
    return torch.ones(shape, dtype=torch.int8)


def bfloat16(*shape):
    return torch.ones(shape, dtype=torch.bfloat16)


def float8(*shape):
    return torch.ones(shape).to(torch.float8_e4m3fn)


ENDS = torch.tensor([1, 4, 6], dtype=torch.int32)  # three groups: of 1, 3 and 2 rows

PRODUCTS = {
    "mm": (lambda: torch.mm(ones(3, 4), ones(4, 5)), 2 * 3 * 4 * 5),
    "mm out": (lambda: torch.mm(ones(3, 4), ones(4, 5), out=torch.empty(3, 5)), 2 * 3 * 4 * 5),
    "mm of turned operands": (lambda: torch.mm(ones(4, 3).T, ones(5, 4).T), 2 * 3 * 4 * 5),
    "mm of nothing": (lambda: torch.mm(ones(0, 4), ones(4, 5)), 0),
    "addmm": (lambda: torch.addmm(ones(5), ones(3, 4), ones(4, 5)), 2 * 3 * 4 * 5),
    "addmm in place": (lambda: ones(3, 5).addmm_(ones(3, 4), ones(4, 5)), 2 * 3 * 4 * 5),
    "baddbmm in place": (lambda: ones(2, 3, 5).baddbmm_(ones(2, 3, 4), ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "addbmm in place": (lambda: ones(3, 5).addbmm_(ones(2, 3, 4), ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "addmv in place": (lambda: ones(3).addmv_(ones(3, 4), ones(4)), 2 * 3 * 4),
    "bmm": (lambda: torch.bmm(ones(2, 3, 4), ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "baddbmm": (lambda: torch.baddbmm(ones(3, 5), ones(2, 3, 4), ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "addbmm": (lambda: torch.addbmm(ones(3, 5), ones(2, 3, 4), ones(2, 4, 5)), 2 * 2 * 3 * 4 * 5),
    "mv": (lambda: torch.mv(ones(3, 4), ones(4)), 2 * 3 * 4),
    "addmv": (lambda: torch.addmv(ones(3), ones(3, 4), ones(4)), 2 * 3 * 4),
    "dot": (lambda: torch.dot(ones(7), ones(7)), 2 * 7),
    "vdot": (lambda: torch.vdot(ones(7), ones(7)), 2 * 7),
    "_scaled_mm": (
        lambda: torch._scaled_mm(float8(16, 32), float8(48, 32).T, ones(()), ones(())),
        2 * 16 * 32 * 48,
    ),
    "_weight_int8pack_mm": (
        lambda: torch._weight_int8pack_mm(bfloat16(3, 32), ones(16, 32).to(torch.int8), bfloat16(16)),
        2 * 3 * 32 * 16,
    ),
    "_grouped_mm of rows": (
        lambda: functional.grouped_mm(bfloat16(6, 16), bfloat16(3, 16, 8), offs=ENDS),
        2 * 6 * 16 * 8,
    ),
    "_grouped_mm of batches": (
        lambda: functional.grouped_mm(bfloat16(3, 6, 16), bfloat16(3, 16, 8)),
        2 * 3 * 6 * 16 * 8,
    ),
    "linear in 1 dimension": (lambda: functional.linear(ones(4), ones(5, 4), ones(5)), 2 * 4 * 5),
    "linear in 2 dimensions": (lambda: functional.linear(ones(3, 4), ones(5, 4), ones(5)), 2 * 3 * 4 * 5),
    "linear in 4 dimensions": (lambda: functional.linear(ones(2, 3, 6, 4), ones(5, 4)), 2 * 2 * 3 * 6 * 4 * 5),
    "matmul with a vector on the left": (lambda: ones(4) @ ones(2, 4, 3), 2 * 2 * 3 * 4),
    "matmul with a vector on the right": (lambda: ones(2, 3, 4) @ ones(4), 2 * 2 * 3 * 4),
    "matmul that broadcasts": (lambda: ones(5, 1, 2, 4) @ ones(3, 4, 7), 2 * 5 * 3 * 2 * 4 * 7),
    "einsum": (lambda: torch.einsum("bhte,bhse->bhts", ones(2, 3, 4, 5), ones(2, 3, 6, 5)), 2 * 2 * 3 * 4 * 5 * 6),
    "tensordot": (lambda: torch.tensordot(ones(3, 4, 5), ones(4, 5, 6), 2), 2 * 3 * 4 * 5 * 6),
    "points of an affine grid": (
        lambda: functional.affine_grid(ones(3, 2, 3), (3, 1, 4, 5), align_corners=True),
        2 * 3 * 4 * 5 * 2 * 3,
    ),
    "bilinear": (lambda: functional.bilinear(ones(2, 3), ones(2, 4), ones(5, 3, 4)), 2 * 2 * 3 * 4 * 5),
}


@pytest.mark.parametrize(("product", "flops"), PRODUCTS.values(), ids=PRODUCTS)
def test_two_flops_for_each_combination_of_sizes(count, product, flops):
    counted = count(product)
    assert (counted.forward, counted.total) == (flops, flops)


def test_the_processors_own_linear_layer(count):
    x = ones(3, 4).to_mkldnn()
    assert count(lambda: aten.mkldnn_linear(x, ones(5, 4), ones(5))).total == 2 * 3 * 4 * 5


@pytest.mark.parametrize("shape", [(4,), (3, 4), (2, 3, 4)])
def test_the_bias_of_a_linear_layer_is_pointwise(count, shape):
    counted = count(lambda: functional.linear(ones(shape), ones(5, 4), ones(5)))
    assert counted.pointwise["forward"] == ones(shape).numel() // 4 * 5


def test_chunks_add_up_to_the_whole(count):
    x, w = ones(6, 4), ones(4, 5)
    whole = count(lambda: x @ w)
    assert count(lambda: [part @ w for part in x.split(2)]).total == whole.total


def test_operators_inside_an_operator_are_counted_once(count):
    assert count(lambda: torch.linalg.multi_dot([ones(3, 4), ones(4, 5), ones(5, 6)])).by_operator == {
        "aten::mm": Total(2 * 3 * 4 * 5 + 2 * 3 * 5 * 6, 2)
    }


def test_an_operator_is_taken_apart_in_inference_mode(count):
    with torch.inference_mode():
        assert count(lambda: functional.linear(ones(3, 4), ones(5, 4), ones(5))).total == 2 * 3 * 4 * 5


SEQUENCE = ones(3, 2, 4)
IN_INFERENCE_MODE = {
    "attention": lambda: functional.scaled_dot_product_attention(SEQUENCE, SEQUENCE, SEQUENCE),
    "LSTM": lambda: nn.LSTM(4, 5, 2, dropout=0.5)(SEQUENCE)[0],
    "GRU": lambda: nn.GRU(4, 5, 2, dropout=0.5)(SEQUENCE)[0],
    "RNN": lambda: nn.RNN(4, 5, 2, dropout=0.5)(SEQUENCE)[0],
    "dropout": lambda: functional.dropout(SEQUENCE),
}


@pytest.mark.parametrize("run", IN_INFERENCE_MODE.values(), ids=IN_INFERENCE_MODE)
def test_inference_mode_counts_and_computes_the_same(count, run):
    """There PyTorch hands over the operator as a whole, and another decomposition of it than the one that it runs."""
    results = []

    def step():
        torch.manual_seed(0)
        results.append(run())

    with torch.no_grad():
        plain = count(step)
    with torch.inference_mode():
        step()
        inferred = count(step)
    assert (inferred.forward, inferred.pointwise) == (plain.forward, plain.pointwise)
    assert plain.forward + plain.pointwise["forward"] > 0
    assert torch.equal(results[1], results[2])


def test_an_outer_product_sums_nothing_and_is_pointwise(count):
    counted = count(lambda: torch.outer(ones(3), ones(4)))
    assert (counted.total, counted.pointwise["forward"]) == (0, 12)


def test_integers_take_no_flops(count):
    counted = count(lambda: torch.mm(int8(32, 16), int8(16, 8)))
    assert (counted.total, counted.integer["forward"], counted.uncounted) == (0, 2 * 32 * 16 * 8, {})


@pytest.mark.parametrize(("rows", "flops"), [([3, 7], 896), ([0, 0], 0), ([10, 10], 1280), ([0, 1], 128)], ids=str)
def test_rows_after_the_last_group_are_not_multiplied(count, rows, flops):
    ends = torch.tensor(rows, dtype=torch.int32)
    a, b = torch.ones(10, 8, dtype=torch.bfloat16), torch.ones(2, 8, 8, dtype=torch.bfloat16)
    assert count(lambda: torch._grouped_mm(a, b, offs=ends)).total == flops


def test_groups_may_divide_columns_or_the_axis_that_is_summed_over(count):
    ends = torch.tensor([8, 16], dtype=torch.int32)
    columns = count(lambda: torch._grouped_mm(bfloat16(2, 3, 8), bfloat16(8, 24), offs=ends))
    summed = count(lambda: torch._grouped_mm(bfloat16(3, 24), bfloat16(24, 8), offs=ends))
    assert columns.total == 2 * 3 * 8 * 16
    assert summed.total == 2 * 3 * 16 * 8


def test_where_the_ends_of_groups_have_no_data_every_row_belongs_to_one():
    def meta(*shape, dtype=torch.bfloat16):
        return torch.empty(shape, dtype=dtype, device="meta")

    rule = CONTRACTIONS["aten::_grouped_mm"]
    assert rule(None, meta(10, 8), meta(2, 8, 6), meta(2, dtype=torch.int32)) == 2 * 10 * 8 * 6


def test_a_complex_multiply_accumulate_takes_8_flops(count):
    """Four multiplications and four additions, which is also what a processor runs: 884,736 here."""
    left, right = torch.ones(24, 48, dtype=torch.complex64), torch.ones(48, 96, dtype=torch.complex64)
    assert count(lambda: left @ right).total == 884_736 == 4 * count(lambda: left.real @ right.real).total


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyOptions"), reason="PyTorch has it since 2.13")
def test_an_output_layer_in_chunks_computes_both_gradients_on_the_way(count):
    B, D, V = 6, 8, 10
    x, w, targets = ones(B, D).requires_grad_(), ones(V, D).requires_grad_(), torch.zeros(B, dtype=torch.int64)
    options = nn.LinearCrossEntropyOptions()
    whole = count(lambda: functional.linear_cross_entropy(x, w, targets).backward())
    chunked = count(lambda: functional.linear_cross_entropy(x, w, targets, options=options).backward())
    frozen = count(lambda: functional.linear_cross_entropy(x, w.detach(), targets, options=options).backward())
    with torch.no_grad():
        alone = count(lambda: functional.linear_cross_entropy(x, w, targets, options=options))
    assert chunked.total == whole.total == 6 * B * D * V
    assert (frozen.total, alone.total) == (4 * B * D * V, 2 * B * D * V)
    chunks = "torch_nn::_linear_cross_entropy_batch_chunked"
    of_scores = [call.pointwise for each in (chunked, frozen, alone) for call in each.calls if call.operator == chunks]
    assert of_scores == [6 * B * V, 6 * B * V, 5 * B * V]  # the scores' gradient is scaled once for both


@pytest.mark.skipif(not hasattr(nn, "LinearCrossEntropyOptions"), reason="PyTorch has it since 2.13")
def test_an_output_layer_in_chunks_that_keeps_each_loss_runs_once_more_backward(count):
    B, D, V = 6, 8, 10
    x, w, targets = ones(B, D).requires_grad_(), ones(V, D).requires_grad_(), torch.zeros(B, dtype=torch.int64)
    given = {"options": nn.LinearCrossEntropyOptions(), "reduction": "none"}
    each = count(lambda: functional.linear_cross_entropy(x, w, targets, **given).sum().backward())
    sums = 2 * 2 * B  # two dot products of the losses, which are thrown away
    assert (each.forward, each.backward, each.uncounted) == (2 * B * D * V, 6 * B * D * V + sums, {})


@pytest.mark.parametrize(("needed", "products"), [((True, True), 2), ((True, False), 1), ((False, True), 1)])
def test_backward_of_a_nested_product_runs_one_product_for_each_gradient_that_is_needed(needed, products):
    gradient, left, right = ones(3, 4, 6), ones(3, 4, 5), ones(5, 6)
    assert nested_product_backward(None, gradient, left, right, needed) == products * 2 * 3 * 4 * 5 * 6
