"""Test laws of the loss: their optimum, what is served, published tables, thresholds."""

from math import exp, inf, nan

import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from flopbook.predict.scaling import (
    ALLOCATIONS,
    LAWS,
    Law,
    Run,
    modifier_threshold,
    published_law,
    thresholds_above,
)

some = settings(max_examples=25, deadline=None)
exponents = st.floats(0.15, 0.6)
amounts = st.floats(10, 1e4)
laws = st.builds(Law, st.floats(0, 3), amounts, amounts, exponents, exponents)
budgets = st.floats(1e15, 1e26)
ROUNDING = 1 - 1e-12

#: Table A3 of Hoffmann and others: parameters, then FLOPs and tokens by approach 2 and by approach 3.
TABLE_A3 = [
    (400e6, 1.84e19, 7.7e9, 2.21e19, 9.2e9),
    (1e9, 1.20e20, 20.0e9, 1.62e20, 27.1e9),
    (10e9, 1.32e22, 219.5e9, 2.46e22, 410.1e9),
    (67e9, 6.88e23, 1.7e12, 1.71e24, 4.1e12),
    (175e9, 4.54e24, 4.3e12, 1.26e24, 12.0e12),
    (280e9, 1.18e25, 7.1e12, 3.52e25, 20.1e12),
    (520e9, 4.19e25, 13.4e12, 1.36e26, 43.5e12),
    (1e12, 1.59e26, 26.5e12, 5.65e26, 94.1e12),
    (10e12, 1.75e28, 292.0e12, 8.55e28, 1425.5e12),
]


@some
@given(laws, budgets)
def test_the_optimum_spends_the_budget_and_nothing_beside_it_is_better(law, budget):
    best = law.optimum(budget)
    assert best.total == best.training == pytest.approx(budget)
    least = law.loss(best.parameters, best.tokens)
    for factor in (0.5, 0.9, 1.1, 2):
        assert law.loss(best.parameters * factor, best.tokens / factor) >= least * ROUNDING


@some
@given(laws, budgets, st.floats(0.01, 100))
def test_with_tokens_served_the_optimum_spends_the_budget_on_both_and_is_smaller(law, budget, share):
    alone = law.optimum(budget)
    served = share * alone.tokens
    best = law.optimum(budget, served)
    assert best.total == pytest.approx(budget) and best.parameters < alone.parameters
    least = law.loss(best.parameters, best.tokens)
    for factor in (0.9, 1.1):
        parameters = best.parameters * factor
        tokens = (budget - 2 * parameters * served) / (6 * parameters)
        assert tokens < 0 or law.loss(parameters, tokens) >= least * ROUNDING


@some
@given(laws, budgets, st.floats(0, 100))
def test_the_cheapest_run_of_a_loss_is_the_best_run_of_its_budget(law, budget, share):
    best = law.optimum(budget, share * law.optimum(budget).tokens)
    assume(best.tokens >= 1)  # of fewer, `cheapest` says so
    loss = law.loss(best.parameters, best.tokens)
    cheapest = law.cheapest(loss, best.served)
    assert cheapest.total == pytest.approx(budget, rel=1e-4)
    assert law.loss(cheapest.parameters, cheapest.tokens) == pytest.approx(loss)
    for parameters in (0.9 * cheapest.parameters, 1.1 * cheapest.parameters):
        try:
            other = Run(parameters, law.tokens_for(loss, parameters), best.served)
        except ValueError:
            continue
        assert other.total >= cheapest.total * (1 - 1e-9)


def test_with_letters_the_optimum_is_the_published_formula():
    A, B, a, b, C = sympy.symbols("A B a b C", positive=True)
    best = Law(0, A, B, a, b).optimum(C)
    G = (a * A / (b * B)) ** (1 / (a + b))
    assert sympy.simplify(best.parameters - G * (C / 6) ** (b / (a + b))) == 0
    assert sympy.simplify(best.tokens - (C / 6) ** (a / (a + b)) / G) == 0
    numbers = {A: 2, B: 3, a: 0.5, b: 0.25, C: 6e9}
    assert float(best.parameters.subs(numbers)) == pytest.approx(Law(0, 2, 3, 0.5, 0.25).optimum(6e9).parameters)


def test_equal_exponents_give_the_square_root_of_the_budget():
    best = Law(1, 20, 20, 0.3, 0.3).optimum(6e20)
    assert best.parameters == pytest.approx(1e10) and best.tokens_per_parameter == pytest.approx(1)


def test_the_published_exponents_follow_from_the_unrounded_law_and_not_from_the_rounded_one():
    shares = {name: law.b / (law.a + law.b) for name, law in LAWS.items()}
    assert round(shares["Hoffmann, unrounded"], 2) == ALLOCATIONS["Hoffmann 3, parametric"].parameters == 0.46
    assert round(shares["Hoffmann, rounded"], 2) == 0.45
    assert round(shares["Besiroglu"], 3) == 0.513
    assert all(sum(each) == pytest.approx(1) for each in ALLOCATIONS.values())


def test_the_unrounded_law_comes_nearer_to_each_row_of_the_published_table():
    for parameters, *_, tokens in TABLE_A3:
        budget = 6 * parameters * tokens
        rounded, unrounded = (
            published_law(f"Hoffmann, {how}").optimum(budget).parameters / parameters
            for how in ("rounded", "unrounded")
        )
        assert 0.9 < unrounded < 1.01 and rounded < 0.83


def test_one_row_of_the_published_table_contradicts_its_own_tokens():
    off = [6 * n * tokens / flops for n, flops_2, tokens_2, flops, tokens in TABLE_A3]
    assert [round(each, 1) for each in off] == [1.0, 1.0, 1.0, 1.0, 10.0, 1.0, 1.0, 1.0, 1.0]
    assert all(round(6 * n * tokens / flops, 1) == 1.0 for n, flops, tokens, *_ in TABLE_A3)


def test_the_corrected_law_agrees_with_twenty_tokens_a_parameter_where_chinchilla_was_trained():
    ratios = {name: law.optimum(5.76e23).tokens_per_parameter for name, law in LAWS.items()}
    assert 18 < ratios["Besiroglu"] < 19
    assert ratios["Hoffmann, unrounded"] > 55 and ratios["Hoffmann, rounded"] > 90


def test_a_run_adds_up_training_and_use():
    run = Run(parameters=10, tokens=30, served=7)
    assert (run.training, run.serving, run.total, run.tokens_per_parameter) == (1800, 140, 1940, 3)


def test_tokens_for_a_loss_reach_it():
    law = published_law("Besiroglu")
    for parameters in (1e8, 7e10):
        assert law.loss(parameters, law.tokens_for(3.0, parameters)) == pytest.approx(3.0)


@pytest.mark.parametrize("name", ["A", "B", "a", "b"])
@pytest.mark.parametrize("wrong", [0, -0.3, nan, inf, "0.3", None, True])
def test_a_law_of_other_than_positive_numbers_is_refused(name, wrong):
    with pytest.raises(ValueError) as error:
        Law(**(dict(E=1.7, A=400, B=400, a=0.3, b=0.3) | {name: wrong}))
    assert str(error.value) == f"{name}={wrong!r} is out of range: write a positive number"


def test_a_negative_last_loss_is_refused_and_none_at_all_is_not():
    with pytest.raises(ValueError, match="E=-1 is out of range"):
        Law(-1, 1, 1, 1, 1)
    assert Law(0, 1, 1, 1, 1).loss(2, 4) == 0.75


@pytest.mark.parametrize("wrong", [0, -6e20, nan, inf, "1e20", None, 1e80])
def test_a_budget_of_no_flops_is_refused(wrong):
    with pytest.raises(ValueError, match="budget=") as error:
        published_law("Besiroglu").optimum(wrong)
    assert repr(wrong) in str(error.value)


@pytest.mark.parametrize("wrong", [-1, nan, "1e12", None, 2e60])
def test_served_tokens_that_are_no_number_are_refused(wrong):
    law = published_law("Besiroglu")
    for search in (lambda: law.optimum(1e20, wrong), lambda: law.cheapest(2.5, wrong)):
        with pytest.raises(ValueError, match="write 0, or a number of tokens") as error:
            search()
        assert str(error.value).startswith(f"served={wrong!r} is out of range")


def test_a_loss_out_of_reach_is_refused():
    law = published_law("Besiroglu")
    for loss in (1.8172, 0, nan, "2"):
        with pytest.raises(ValueError, match=r"is out of reach: give a number above E=1\.8172"):
            law.cheapest(loss)
        with pytest.raises(ValueError, match=r"is out of reach: give a number above E=1\.8172"):
            law.tokens_for(loss, 1e8)
    with pytest.raises(ValueError, match=r"loss=2\.0 is out of reach of 1e.08 parameters, which stay above 2\.61"):
        law.tokens_for(2.0, 1e8)


def test_a_loss_that_all_tokens_together_only_approach_is_out_of_reach():
    law = Law(E=1, A=1, B=1, a=1, b=1)
    assert law.tokens_for(1.5, 4) == 4
    with pytest.raises(ValueError, match=r"loss=1\.25 is out of reach of 4 parameters, which stay above 1\.25"):
        law.tokens_for(1.25, 4)


@pytest.mark.parametrize("wrong", [0, -1e9, nan, inf, "1e9", None, 1e61])
def test_other_than_positive_numbers_of_parameters_and_of_tokens_are_refused(wrong):
    law = published_law("Besiroglu")
    for ask in (lambda: law.loss(wrong, 1e9), lambda: law.tokens_for(3.0, wrong)):
        with pytest.raises(ValueError, match="parameters=") as error:
            ask()
        assert repr(wrong) in str(error.value)
    with pytest.raises(ValueError, match="tokens="):
        law.loss(1e9, wrong)


def test_the_largest_amounts_are_inside_the_range():
    law = Law(E=1, A=1, B=1, a=0.5, b=0.5)
    assert law.loss(1e60, 1e60) == 1 + 2e-30
    assert law.optimum(1e60).total == pytest.approx(1e60) == law.optimum(1e60, served=1e60).total


def test_a_loss_that_needs_more_tokens_than_can_be_counted_is_refused():
    with pytest.raises(ValueError, match=r"more than 1e.60 tokens would be needed: give a smaller budget, or a higher"):
        Law(1, 1, 1, 0.1, 0.1).cheapest(1 + 1e-9)


def test_a_loss_that_only_the_largest_run_reaches_is_refused():
    law = Law(0, 1, 1, 1, 1)
    with pytest.raises(ValueError, match=r"more than 1e.60 tokens would be needed"):
        law.cheapest(law.loss(exp(138), exp(138)))


def test_the_flops_that_an_optimum_takes_have_it_as_their_optimum():
    for name, law in LAWS.items():
        best = law.optimum(1e21, served=1e9)
        assert law.optimum(best.total, served=1e9) == best, name


def test_a_loss_that_less_than_a_token_reaches_is_refused():
    with pytest.raises(ValueError, match="less than one token would be needed: give a larger budget, or a lower loss"):
        published_law("Besiroglu").cheapest(1e9)
    one = Law(E=0, A=1, B=1, a=0.5, b=0.5)
    best = one.cheapest(2.0)
    assert (best.parameters, best.tokens) == pytest.approx((1, 1))
    with pytest.raises(ValueError, match="less than one token would be needed"):
        one.cheapest(2.001)


def test_letters_where_a_search_needs_numbers_are_refused():
    A = sympy.Symbol("A", positive=True)
    with pytest.raises(ValueError, match="A is not a number: what is served or searched for needs numbers"):
        Law(1, A, 1, 1, 1).optimum(1e20, served=1e9)
    for search in (lambda law: law.cheapest(A), lambda law: law.tokens_for(A, 1e9), lambda law: law.tokens_for(3.0, A)):
        with pytest.raises(ValueError, match="A is not a number"):
            search(published_law("Besiroglu"))


def test_published_laws_name_their_source_and_exponents_add_up():
    assert all(law.source for law in LAWS.values())
    assert list(ALLOCATIONS) == [
        "Kaplan", "Hoffmann 1, training curves", "Hoffmann 2, isoFLOP", "Hoffmann 3, parametric",
    ]  # fmt: skip
    assert all(each.parameters + each.tokens == pytest.approx(1) for each in ALLOCATIONS.values())


def test_a_law_that_nobody_published_is_refused():
    with pytest.raises(ValueError, match="law='besiroglou' is not known; did you mean 'Besiroglu'"):
        published_law("besiroglou")


def test_a_training_is_above_a_threshold_only_if_it_is_greater():
    assert thresholds_above(10**23) == () and thresholds_above(10**23 + 1) == ("general purpose",)
    assert thresholds_above(10**25) == thresholds_above(1e25) == ("general purpose",)
    assert thresholds_above(1e23) == ()
    assert thresholds_above(1.1e25) == ("general purpose", "systemic risk")
    with pytest.raises(ValueError, match="flops=0 is out of range"):
        thresholds_above(0)


def test_who_changes_a_model_has_a_third_of_its_training_or_of_a_threshold():
    assert modifier_threshold(3 * 10**24) == 10**24
    assert 3 * modifier_threshold() == 10**23 and 3 * modifier_threshold(systemic_risk=True) == 10**25
    with pytest.raises(ValueError, match="original=-1 is out of range"):
        modifier_threshold(-1)
    with pytest.raises(TypeError, match="systemic_risk='yes' is neither True nor False"):
        modifier_threshold(systemic_risk="yes")


def test_the_unrounded_constants_round_to_those_in_the_text():
    rounded, unrounded = published_law("Hoffmann, rounded"), published_law("Hoffmann, unrounded")
    assert [round(each, 2) for each in (unrounded.E, unrounded.a, unrounded.b)] == [rounded.E, rounded.a, 0.28]
    assert [round(each, 1) for each in (unrounded.A, unrounded.B)] == [rounded.A, rounded.B]
    assert exp(0.5267228) == unrounded.E


@pytest.mark.parametrize(
    ("given", "quoted"),
    [
        (dict(parameters=-1, tokens=1), "parameters=-1"),
        (dict(parameters=0, tokens=1), "parameters=0"),
        (dict(parameters=1, tokens="1T"), "tokens='1T'"),
        (dict(parameters=1, tokens=-1), "tokens=-1"),
        (dict(parameters=1, tokens=1, served=-1), "served=-1"),
        (dict(parameters=1, tokens=False), "tokens=False"),
    ],
)
def test_a_run_of_something_else_than_amounts_is_quoted(given, quoted):
    with pytest.raises(ValueError, match=quoted):
        Run(**given)
