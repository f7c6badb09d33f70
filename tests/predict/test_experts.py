"""Test experts on paper: what is refused, and published sizes to their published digits."""

from fractions import Fraction

import pytest

from flopbook.predict import evaluate, flops
from flopbook.predict.models import (
    X,
    attention_part,
    embedding,
    experts_layer,
    experts_part,
    feed_forward_part,
    fill,
    output_layer,
    slots,
)

MIXTRAL = dict(L=32, D=4096, H=32, G=8, E=128, F=14336, V=32000, X=8, K=2, matrices=3, tables=2)
QWEN = dict(L=48, D=2048, H=32, G=4, E=128, F=768, V=151936, X=128, K=8, matrices=3, tables=2)


@pytest.mark.parametrize(
    ("sizes", "parameters", "active"),
    [(MIXTRAL, 46_702_792_704, 12_879_925_248), (QWEN, 30_532_110_336, 3_353_020_416)],
    ids=["Mixtral 8x7B", "Qwen3-30B-A3B"],
)
def test_published_models(sizes, parameters, active):
    """Published: 46.7 and 12.9 billion; 30.5 and 3.3, here without the norms of queries and keys, 12,288 numbers."""
    block = attention_part() + experts_part().at(J=0)
    model = sizes["L"] * block + output_layer() + sizes["tables"] * embedding()
    assert (evaluate(model.parameters, sizes), evaluate(model.active, sizes)) == (parameters, active)


@pytest.mark.parametrize("gated", [False, True])
@pytest.mark.parametrize("shared", [False, True])
def test_a_layer_multiplies_by_the_gates_of_the_experts_that_it_has(gated, shared):
    B, D, F, J, M, T, X = sizes = 2, 3, 5, 7, 11, 13, 17
    products = 2 + gated
    found = evaluate(flops(experts_layer(gated, shared).forward), dict(zip("BDFJMTX", sizes, strict=True)))
    assert found == 2 * D * (B * T * X + products * M * F + shared * products * B * T * J)


def test_a_model_without_experts_is_active_as_a_whole():
    part = feed_forward_part()
    assert part.active == part.parameters


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: experts_layer(gated=1), TypeError, "gated=1 is neither True nor False"),
        (lambda: experts_layer(shared=2), TypeError, "shared=2 is neither True nor False"),
        (lambda: experts_part("BTK"), TypeError, "rows='BTK' is not a number of rows"),
        (lambda: experts_part(True), TypeError, "rows=True is not a number of rows"),
        (lambda: slots(1.25), TypeError, "capacity=1.25 is not an exact number"),
        (lambda: fill([3, -1], 2), ValueError, "-1 is not a number of rows or slots"),
        (lambda: fill([3, 1], 1.5), ValueError, "1.5 is not a number of rows or slots"),
    ],
)
def test_what_is_no_size_is_refused(call, kind, says):
    with pytest.raises(kind) as error:
        call()
    assert str(error.value).startswith(says)


@pytest.mark.parametrize("room", [0, 1, 2, 5, 9])
def test_no_row_and_no_slot_is_lost(room):
    loads = [5, 0, 3, 1]
    filled = fill(loads, room)
    assert filled.kept + filled.dropped == sum(loads)
    assert filled.kept + filled.empty == room * len(loads)


def test_a_capacity_of_one_has_a_slot_for_each_row_where_experts_divide_them():
    sizes = dict(B=2, T=6, K=2, X=8)
    assert evaluate(X * slots(1), sizes) == 2 * 6 * 2
    assert evaluate(slots(Fraction(5, 4)), sizes) == 4
