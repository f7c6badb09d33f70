"""Test registering a rule, and the warning about an operator without one."""

import warnings

import pytest
import torch
from torch import Tensor, ones

from flopbook.counts.tally import Total
from flopbook.measure import FlopCount
from flopbook.measure.operators import flop_rule
from flopbook.measure.operators.lookup import TABLES, find_rule
from flopbook.measure.operators.names import contraction, integer, masked, pointwise, remade, transcendental
from flopbook.measure.operators.registry import CONTRACTIONS, FOUND, MOVES


@torch.library.custom_op("flopbook_test::product", mutates_args=())
def product(left: Tensor, right: Tensor) -> Tensor:
    return left @ right


@torch.library.custom_op("flopbook_test::product_into", mutates_args=("result",))
def product_into(left: Tensor, right: Tensor, result: Tensor) -> None:
    torch.mm(left, right, out=result)


@torch.library.custom_op("flopbook_test::order", mutates_args=())
def order(values: Tensor) -> Tensor:
    return values.argsort()


@pytest.fixture(autouse=True)
def _same_rules_afterwards():
    before = [dict(table) for table in TABLES]
    yield
    for table, rules in zip(TABLES, before, strict=True):
        table.clear()
        table.update(rules)
    FOUND.clear()


def register(operator):
    @flop_rule(operator)
    def rule(out, left, right, *_):
        (B, D), (_, K) = left.shape, right.shape
        return 2 * B * D * K

    return rule


def test_an_operator_with_a_rule_is_counted(count):
    register(torch.ops.flopbook_test.product)
    counted = count(lambda: product(ones(3, 4), ones(4, 5)))
    assert counted.by_operator == {"flopbook_test::product": Total(2 * 3 * 4 * 5, 1)}


def test_the_decorated_function_stays_as_it_was():
    rule = register(torch.ops.flopbook_test.product)
    assert rule(None, ones(3, 4), ones(4, 5)) == 120


def test_a_later_rule_replaces_an_earlier_one(count):
    register(torch.ops.flopbook_test.product)
    count(lambda: product(ones(3, 4), ones(4, 5)))
    flop_rule(torch.ops.flopbook_test.product)(lambda out, *_: 7)
    assert count(lambda: product(ones(3, 4), ones(4, 5))).total == 7


def test_a_rule_of_pytorchs_own_can_be_replaced(count):
    flop_rule(torch.ops.aten.mm)(lambda out, *_, **__: 7)
    assert count(lambda: ones(3, 4) @ ones(4, 5)).total == 7


@pytest.mark.parametrize(
    ("operator", "arguments"),
    [(product, ()), (product_into, (torch.empty(3, 5),))],
    ids=["gives a result", "writes it into an argument"],
)
def test_an_operator_without_a_rule_is_named_with_its_calls_and_the_remedy(operator, arguments):
    name = operator._qualname
    with pytest.warns(UserWarning) as caught, FlopCount() as counted:
        for _ in range(3):
            operator(ones(3, 4), ones(4, 5), *arguments)
    assert counted.uncounted == {name: 3}
    assert counted.total == 0
    assert [str(warning.message) for warning in caught] == [
        f"no rule for {name} (3 calls): not counted. Add one with flopbook.measure.operators.flop_rule"
    ]
    assert caught[0].filename == __file__


def test_once_the_rule_is_there_nothing_is_uncounted(count):
    with pytest.warns(UserWarning, match="no rule for flopbook_test::product"), FlopCount() as before:
        product(ones(3, 4), ones(4, 5))
    register(torch.ops.flopbook_test.product)
    after = count(lambda: product(ones(3, 4), ones(4, 5)))
    assert before.uncounted and not after.uncounted


def test_a_rule_of_the_book_that_does_not_know_the_count_leaves_a_plain_result_uncounted():
    def unknown(out, *_):
        return None

    unknown.__module__ = CONTRACTIONS["aten::mm"].__module__
    flop_rule(torch.ops.aten.mm)(unknown)
    with pytest.warns(UserWarning, match="no rule for aten::mm"), FlopCount() as counted:
        ones(3, 4) @ ones(4, 5)
    assert (counted.forward, counted.uncounted) == (0, {"aten::mm": 1})


def test_an_operator_that_gives_only_indices_needs_no_rule(count):
    assert count(lambda: order(ones(3))).uncounted == {}


def test_an_exception_says_more_than_the_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ZeroDivisionError), FlopCount() as counted:
            product(ones(3, 4), ones(4, 5))
            _ = 1 / 0
    assert counted.uncounted == {"flopbook_test::product": 1}


@pytest.mark.parametrize("thing", [torch.ops.aten.mm.default, torch.mm, "aten::mm", None])
def test_what_is_not_an_operator_is_quoted(thing):
    with pytest.raises(TypeError) as error:
        flop_rule(thing)
    assert str(error.value) == f"{thing!r} is not an operator: give one such as torch.ops.aten.mm, without overload"


def test_a_rule_for_no_operator():
    with pytest.raises(TypeError) as error:
        flop_rule()
    assert str(error.value) == "no operator is named: give one such as torch.ops.aten.mm"


def test_a_rule_for_an_operator_that_runs_as_others_is_refused():
    with pytest.raises(ValueError) as error:
        flop_rule(torch.ops.aten.linear)
    assert str(error.value) == (
        "aten::linear runs as other operators, and those are counted: register rules for operators that have kernels"
    )


def test_an_operator_that_calls_a_function_takes_a_rule():
    operator = torch.ops.higher_order.flex_attention
    flop_rule(operator)(lambda out, *_, **__: 7)
    assert find_rule(operator).contraction(None) == 7


def test_an_operator_in_place_has_the_rule_of_the_plain_one_and_its_own_name(count):
    x = ones(3, 2)
    (call,) = count(lambda: torch.ops.aten.threshold_(x, 0.5, 0.0)).calls
    assert (call.operator, call.pointwise) == ("aten::threshold_", 6)


@torch.library.custom_op("flopbook_test::threshold_", mutates_args=("values",))
def threshold_(values: Tensor) -> None:
    values.clamp_(min=0)


def test_an_operator_of_another_library_does_not_take_the_rule_of_one_of_pytorchs():
    assert find_rule(torch.ops.aten.threshold.default).pointwise
    assert find_rule(torch.ops.flopbook_test.threshold_.default) is None


def test_an_operator_with_a_kernel_in_one_overload_takes_a_rule(count):
    flop_rule(torch.ops.aten.var)(lambda out, *_, **__: 7)  # var() runs as var.correction()
    assert count(lambda: ones(3, 2).var()).total == 7


def test_a_rule_that_is_not_a_function_is_refused():
    with pytest.raises(TypeError) as error:
        flop_rule(torch.ops.flopbook_test.product)(120)
    assert str(error.value) == "120 is not a rule: give a function of the result and the operator's arguments"


@pytest.mark.parametrize("returned", [None, 1.5, -3])
def test_a_rule_that_returns_no_count(returned):
    flop_rule(torch.ops.flopbook_test.product)(lambda out, *_: returned)
    with FlopCount() as counted:
        product(ones(3, 4), ones(4, 5))
    with pytest.raises(TypeError) as error:
        _ = counted.total
    assert (
        str(error.value)
        == f"the rule of flopbook_test::product returned {returned!r}: return its FLOPs, an int of at least 0"
    )


def test_a_rule_is_obeyed_where_the_operator_returns_nothing(count):
    register(torch.ops.flopbook_test.product_into)
    counted = count(lambda: product_into(ones(3, 4), ones(4, 5), torch.empty(3, 5)))
    assert counted.by_operator == {"flopbook_test::product_into": Total(120, 1)}


def test_a_rule_is_obeyed_where_the_operator_returns_integers(count):
    flop_rule(torch.ops.flopbook_test.order)(lambda out, values: 7)
    assert count(lambda: order(ones(3))).total == 7
    flop_rule(torch.ops.aten.searchsorted)(lambda out, *_, **__: 9)
    assert count(lambda: torch.searchsorted(ones(3), ones(2))).total == 9


@torch.library.custom_op("flopbook_test::both", mutates_args=())
def both(left: Tensor, right: Tensor) -> tuple[Tensor, Tensor]:
    return left @ right, (left @ right).argmax(0)


def test_a_rule_is_obeyed_where_the_operator_returns_several_tensors(count):
    register(torch.ops.flopbook_test.both)
    assert count(lambda: both(ones(3, 4), ones(4, 5))).total == 120


def test_a_result_that_is_an_argument_by_name_only_reaches_the_rule(count):
    library = torch.library.Library("flopbook_test", "FRAGMENT")
    library.define("into(Tensor left, Tensor right, *, Tensor(a!) out) -> ()")
    library.impl("into", lambda left, right, *, out: None, "CPU")

    @flop_rule(torch.ops.flopbook_test.into)
    def rule(result, left, right, *, out):
        return 2 * left.numel() * out.shape[1]

    assert count(lambda: torch.ops.flopbook_test.into(ones(3, 4), ones(4, 5), out=torch.empty(3, 5))).total == 120


def test_a_rule_with_another_signature_names_its_operator_and_what_it_takes():
    @flop_rule(torch.ops.flopbook_test.product)
    def rule(left, right):
        return 1

    with pytest.raises(TypeError) as error, FlopCount():
        product(ones(3, 4), ones(4, 5))
    assert str(error.value) == (
        "the rule of flopbook_test::product takes (left, right), but is called with (result, left, right): "
        "the operator's result, then its arguments"
    )


def test_an_error_inside_a_rule_names_its_operator():
    flop_rule(torch.ops.flopbook_test.product)(lambda out, left, right: 1 // 0)
    with pytest.raises(ZeroDivisionError) as error, FlopCount():
        product(ones(3, 4), ones(4, 5))
    assert error.value.__notes__ == ["This happened in the rule of flopbook_test::product."]


def test_an_error_inside_a_rule_with_a_named_argument_names_its_operator():
    library = torch.library.Library("flopbook_test", "FRAGMENT")
    library.define("scaled(Tensor left, *, float by) -> Tensor")
    library.impl("scaled", lambda left, *, by: left * by, "CPU")
    flop_rule(torch.ops.flopbook_test.scaled)(lambda out, left, *, by: 1 // 0)
    with pytest.raises(ZeroDivisionError) as error, FlopCount():
        torch.ops.flopbook_test.scaled(ones(3), by=2.0)
    assert error.value.__notes__ == ["This happened in the rule of flopbook_test::scaled."]


def test_a_product_of_integers_takes_integer_operations(count):
    counted = count(lambda: ones(3, 4, dtype=torch.long) @ ones(4, 5, dtype=torch.long))
    assert (counted.total, counted.integer["forward"], counted.uncounted) == (0, 120, {})


def test_every_kind_of_rule_has_its_place(count):
    kinds = (contraction, pointwise, transcendental, integer, masked, remade)
    for number, kind in enumerate(kinds, start=1):
        kind("flopbook_test::product")(lambda out, left, right, number=number: 10 * number)
    counted = count(lambda: product(ones(3, 4), ones(4, 5)))
    found = (counted.pointwise, counted.transcendental, counted.integer, counted.masked, counted.remade)
    assert (counted.total, *(kind["forward"] for kind in found)) == (10, 20, 30, 40, 50, 60)


def test_a_transcendental_part_is_kept_where_pytorch_itself_tells_that_an_operator_is_pointwise(count):
    transcendental("erfinv")(lambda out, *_: out.numel())
    counted = count(lambda: torch.erfinv(torch.zeros(3)))
    assert (counted.pointwise["forward"], counted.transcendental["forward"]) == (3, 3)


def test_reading_a_mask_is_not_counted_by_whoever_counts_too(count):
    register(torch.ops.flopbook_test.product)
    masked("flopbook_test::product")(lambda out, left, right: (left * 2).sum().long())
    with FlopCount() as outer, FlopCount() as inner:
        product(ones(3, 4), ones(4, 5))
    assert inner.masked["forward"] == outer.masked["forward"] == 24
    assert sum(inner.pointwise.values()) == sum(outer.pointwise.values()) == 0


@pytest.mark.parametrize(
    "operator",
    [
        "_c10d_functional.wait_tensor", "c10d.barrier", "fsdp.chunk_cat", "prim.device", "prims.collapse_view",
        "profiler._record_function_enter_new",
    ],
)  # fmt: skip
def test_what_only_waits_or_takes_notes_moves(operator):
    pytest.importorskip("torch.distributed.fsdp")  # which registers operators of its own
    namespace, name = operator.split(".")
    assert find_rule(getattr(getattr(torch.ops, namespace), name).default) is MOVES
