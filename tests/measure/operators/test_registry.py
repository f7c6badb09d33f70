"""Registering a rule of one's own, and what is said of an operator that has none."""

import warnings

import pytest
import torch
from torch import Tensor, ones

from flopbook.counts.tally import Total
from flopbook.measure import FlopCount
from flopbook.measure.operators import flop_rule
from flopbook.measure.operators.registry import CONTRACTIONS, FOUND


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
    before = dict(CONTRACTIONS)
    yield
    CONTRACTIONS.clear()
    CONTRACTIONS.update(before)
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
def test_what_is_no_operator_is_quoted(thing):
    with pytest.raises(TypeError) as error:
        flop_rule(thing)
    assert str(error.value) == f"{thing!r} is no operator: give one such as torch.ops.aten.mm, without overload"


def test_a_rule_for_no_operator():
    with pytest.raises(TypeError) as error:
        flop_rule()
    assert str(error.value) == "no operator is named: give one such as torch.ops.aten.mm"


def test_a_rule_that_is_no_function():
    with pytest.raises(TypeError) as error:
        flop_rule(torch.ops.flopbook_test.product)(120)
    assert str(error.value) == "120 is no rule: give a function of the result and the operator's arguments"


@pytest.mark.parametrize("returned", [None, 1.5])
def test_a_rule_that_returns_no_count(returned):
    flop_rule(torch.ops.flopbook_test.product)(lambda out, *_: returned)
    with FlopCount() as counted:
        product(ones(3, 4), ones(4, 5))
    with pytest.raises(TypeError) as error:
        _ = counted.total
    assert str(error.value) == f"the rule of flopbook_test::product returned {returned!r}: return its FLOPs, an int"
