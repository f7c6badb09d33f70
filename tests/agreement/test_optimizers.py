"""Test that the rules of optimizers move a parameter as PyTorch's optimizers do."""

import pytest
import sympy
import torch

from flopbook.predict.optimizers import OPTIMIZERS

MADE = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1),
    "SGD with momentum": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.7),
    "Adam": lambda parameters: torch.optim.Adam(parameters, lr=0.1, betas=(0.8, 0.95), eps=1e-3),
    "AdamW": lambda parameters: torch.optim.AdamW(parameters, lr=0.1, betas=(0.8, 0.95), eps=1e-3, weight_decay=0.3),
}
SETTINGS = {"eta": 0.1, "mu": 0.7, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-3, "lambda": 0.3}
GRADIENTS = (0.5, -2.0, 0.25)


def by_rule(name):
    """Work out the parameter after each step from the rule, in its written order."""
    values = {"p": 1.5} | {str(quantity.base): 0.0 for quantity in OPTIMIZERS[name].rule if str(quantity.base) != "p"}
    for number, values["g"] in enumerate(GRADIENTS, 1):
        settings = {sympy.Symbol(name): value for name, value in (SETTINGS | {"s": number}).items()}
        for quantity, expression in OPTIMIZERS[name].rule.items():
            state = {part: values[str(part.base)] for part in expression.atoms(sympy.Indexed)}
            values[str(quantity.base)] = float(expression.subs(state).subs(settings))
        yield values["p"]


def by_torch(name):
    parameter = torch.tensor(1.5, dtype=torch.float64, requires_grad=True)
    optimizer = MADE[name]([parameter])
    for gradient in GRADIENTS:
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        yield parameter.item()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_rule_moves_a_parameter_as_pytorch_does(name):
    assert list(by_rule(name)) == pytest.approx(list(by_torch(name)), rel=1e-12)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_another_rule_moves_it_elsewhere(name):
    others = [other for other in OPTIMIZERS if other != name]
    assert all(list(by_rule(other)) != pytest.approx(list(by_torch(name)), rel=1e-6) for other in others)
