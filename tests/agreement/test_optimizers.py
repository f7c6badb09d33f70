"""Test that the rules of optimizers move a parameter as PyTorch's optimizers do, and take what is counted."""

import itertools
from functools import cache
from math import prod

import pytest
import sympy
import torch

from flopbook.measure import FlopCount
from flopbook.predict.optimizers import OPTIMIZERS, optimizer, update_flops

#: Options of each optimizer, each alone and all together.
OPTIONS = {
    "SGD": ["weight_decay", "momentum", "maximize"],
    "Adam": ["weight_decay", "amsgrad", "maximize"],
    "AdamW": ["amsgrad", "maximize"],
    "Adadelta": ["weight_decay", "maximize"],
    "Adagrad": ["lr_decay", "weight_decay", "maximize"],
    "Adamax": ["weight_decay", "maximize"],
    "ASGD": ["weight_decay", "maximize"],
    "NAdam": ["weight_decay", "decoupled_weight_decay", "maximize"],
    "RAdam": ["weight_decay", "decoupled_weight_decay", "maximize"],
    "RMSprop": ["weight_decay", "momentum", "centered", "maximize"],
    "Rprop": ["maximize"],
}
VALUES = {"weight_decay": 0.3, "momentum": 0.7, "lr_decay": 0.2}
FUSED = "SGD", "Adam", "AdamW", "Adagrad"


def chosen(name):
    names = OPTIONS[name]
    for options in [[], *([each] for each in names), names]:
        yield {option: VALUES.get(option, True) for option in options}


CASES = [(name, options) for name in OPTIONS for options in chosen(name)] + [
    ("SGD", dict(momentum=0.7, nesterov=True)),
    ("SGD", dict(momentum=0.7, dampening=0.2)),
    ("AdamW", dict(weight_decay=0)),
]
IDS = ["-".join([name, *map(str, options)]) for name, options in CASES]

#: What the optimizers of PyTorch are given, and the letters of the rules for it.
SETTINGS = {
    "eta": 0.1, "mu": 0.7, "tau": 0.2, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "lambda": 0.3, "alpha": 0.85,
    "kappa": 0.2, "minus": -1, "low": 0.05, "high": 0.3, "shrink": 0.5, "grow": 1.2,
}  # fmt: skip
GIVEN = {
    "Adadelta": dict(rho=0.85, eps=1e-3),
    "Adagrad": dict(eps=1e-3),
    "ASGD": dict(lambd=0.02, alpha=0.6, t0=2),
    "NAdam": dict(betas=(0.8, 0.95), eps=1e-3, momentum_decay=0.1),
    "RMSprop": dict(alpha=0.85, eps=1e-3),
    "Rprop": dict(etas=(0.5, 1.2), step_sizes=(0.05, 0.3)),
    "SGD": {},
}
GRADIENTS = (0.5, -2.0, 0.25, 1.0, 0.75, 0.5, -0.5, 0.25)


LETTERS = [*"abdefghkmpqruvwxz", *SETTINGS, "s", "eta_s", "lambda_s", "mu_s", "eta_g", "eta_m", "rho"]


def at_step(name, s, product, foreach=False):
    """Work out what is the same for all parameters in a step, and whether it is one of the first steps."""
    beta2 = SETTINGS["beta2"]
    rates, early = SETTINGS | {"s": s}, name == "SGD" and s == 1
    if name == "ASGD":
        share = 1 / max(1, s - 3)
        rates |= {"eta_s": 0.1 / (1 + 0.02 * 0.1 * (s - 1)) ** 0.6, "lambda_s": 0.02, "mu_s": share}
        early = share == 1
    if name == "NAdam":
        mu, after = map(momentum_of_nadam, (s, s + 1))
        rates |= {"eta_g": 0.1 * (1 - mu) / (1 - product), "eta_m": 0.1 * after / (1 - product * after)}
    if name == "RAdam":
        most = 2 / (1 - beta2) - 1
        length = most - 2 * s * beta2**s / (1 - beta2**s)
        early = length <= 5
        if not early:
            rates["rho"] = ((length - 4) * (length - 2) * most / ((most - 4) * (most - 2) * length)) ** 0.5
        if foreach:  # a factor for either way, and nearly nothing for the one that does not hold
            step = -0.1 / (1 - SETTINGS["beta1"] ** s)
            root = (1 - beta2**s) ** 0.5
            rates |= {"eta_s": step, "rho": 1e-300} if early else {"eta_s": 0, "rho": step * root * rates["rho"]}
    return rates, early


def momentum_of_nadam(s):
    return SETTINGS["beta1"] * (1 - 0.5 * 0.96 ** (s * 0.1))


def clamp(x, low, high):
    return min(max(x, low), high)


def in_letters(base, _):
    return sympy.Symbol(str(base))


@cache
def assignments(name, **options):
    """Return a rule as functions of the values of all letters, in its written order."""
    return [
        (
            str(quantity.base),
            sympy.lambdify(
                [sympy.symbols(LETTERS)], expression.replace(sympy.Indexed, in_letters), [{"clamp": clamp}, "math"]
            ),
        )
        for quantity, expression in optimizer(name, **options).rule.items()
    ]


def by_rule(name, options, wanted="p"):
    """Work out the parameter, or what else is wanted, after each step from the rule, in its written order."""
    values = dict.fromkeys(LETTERS, 0.0) | {"p": 1.5, "z": 0.1}  # z: the size of Rprop's first step
    for s, values["g"] in enumerate(GRADIENTS, 1):
        product = prod(map(momentum_of_nadam, range(1, s + 1)))
        settings, early = at_step(name, s, product, options.get("foreach", False))
        for letter, new in assignments(name, **options, **({"early": True} if early else {})):
            values[letter] = new([(values | settings)[each] for each in LETTERS])
        yield values[wanted]


def made(name, parameters, **options):
    given = GIVEN.get(name, dict(betas=(0.8, 0.95), eps=1e-3)) | (dict(weight_decay=0.3) if name == "AdamW" else {})
    return getattr(torch.optim, name)(parameters, **({"lr": 0.1} | given | options))


def by_torch(name, options):
    parameter = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    updates = made(name, [parameter], **options)
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        updates.step()
        yield parameter.item()


@pytest.mark.parametrize("foreach", [False, True], ids=["for loop", "foreach"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_rule_moves_a_parameter_as_pytorch_does(name, options, foreach):
    options = options | dict(foreach=foreach)
    moved = list(by_torch(name, options))
    assert list(by_rule(name, options)) == pytest.approx(moved, rel=1e-7)  # some rates are float32


@pytest.mark.parametrize("foreach", [False, True], ids=["for loop", "foreach"])
def test_asgd_averages_as_pytorch_does(foreach):
    parameter = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    updates = made("ASGD", [parameter])
    averages = []
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        updates.step()
        averages.append(updates.state[parameter]["ax"].item())
    assert list(by_rule("ASGD", dict(foreach=foreach), "a")) == pytest.approx(averages, rel=1e-7)


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("options", [{}, {"maximize": True}], ids=["", "maximize"])
def test_a_sparse_rule_moves_a_row_as_pytorch_does(options):
    table = torch.tensor([[1.5]], dtype=torch.float64, requires_grad=True)
    updates = made("SparseAdam", [table], **options)
    moved = []
    for gradient in GRADIENTS:
        table.grad = torch.sparse_coo_tensor([[0]], [[gradient]], (1, 1), dtype=torch.float64)
        updates.step()
        moved.append(table.item())
    assert list(by_rule("SparseAdam", options)) == pytest.approx(moved, rel=1e-7)


@pytest.mark.parametrize("name", ["Adafactor", "LBFGS", "Muon"])
def test_an_optimizer_that_needs_shapes_is_referred_to_its_own_function(name):
    with pytest.raises(ValueError, match=rf"optimizer='{name}' does not treat .*: write {name.lower()}\("):
        optimizer(name)


def test_another_rule_moves_it_elsewhere():
    moved = {name: list(by_rule(name, {})) for name in OPTIONS}
    for name, other in itertools.permutations(OPTIONS, 2):
        assert moved[other] != pytest.approx(moved[name], rel=1e-6)


def counted(updates, parameters, steps):
    for _ in range(steps):
        for parameter in parameters:
            parameter.grad = torch.ones_like(parameter)
        updates.step()
    with FlopCount() as count:
        updates.step()
    return count


def numbers_kept(updates):
    kept = (value for state in updates.state.values() for value in state.values())
    return sum(value.nbytes for value in kept if isinstance(value, torch.Tensor))


WAYS = [(case, way) for case in CASES for way in ("for loop", "foreach", "fused") if way != "fused" or case[0] in FUSED]


@pytest.mark.parametrize(("case", "way"), WAYS, ids=[f"{case[0]}-{'-'.join(case[1])}-{way}" for case, way in WAYS])
def test_a_rule_takes_and_keeps_what_is_counted(case, way):
    name, options = case
    parameters = [torch.ones(3, 5, requires_grad=True), torch.ones(7, requires_grad=True)]
    ways = {"for loop": dict(foreach=False), "foreach": dict(foreach=True), "fused": dict(fused=True)}
    updates = made(name, parameters, **options, **ways[way])
    count = counted(updates, parameters, steps=8)
    predicted = optimizer(name, foreach=way == "foreach", **options)
    assert count.pointwise["optimizer"] == predicted.operations * 22 + predicted.each_tensor * 2
    assert (count.total, count.uncounted) == (0, {})
    assert numbers_kept(updates) == 4 * (predicted.state.moments * 22 + predicted.state.counters * 2)


@pytest.mark.parametrize(
    ("name", "steps", "options"), [("SGD", 0, dict(momentum=0.7)), ("RAdam", 2, {}), ("ASGD", 1, {})]
)
def test_the_first_steps_of_some_take_less(name, steps, options):
    parameters = [torch.ones(7, requires_grad=True)]
    parameters[0].grad = torch.ones(7)
    seen = counted(made(name, parameters, **options), parameters, steps).pointwise["optimizer"]
    early, late = optimizer(name, early=True, **options), optimizer(name, **options)
    assert seen == early.operations * 7 + early.each_tensor < late.operations * 7 + late.each_tensor


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize(("rows", "looked_up"), [(11, [2, 5]), (11, [0, 3, 3, 10]), (50, [1])])
def test_a_sparse_update_takes_what_the_rows_take_that_have_a_gradient(rows, looked_up):
    table = torch.nn.Embedding(rows, 3, sparse=True)
    updates = torch.optim.SparseAdam(table.parameters())
    for _ in range(2):
        updates.zero_grad()
        table(torch.tensor(looked_up)).sum().backward()
        with FlopCount() as count:
            updates.step()
    assert count.pointwise["optimizer"] == update_flops("SparseAdam", 3 * len(set(looked_up)), 1)
    kept = OPTIMIZERS["SparseAdam"].state
    assert numbers_kept(updates) == 4 * (kept.moments * rows * 3 + kept.counters)
