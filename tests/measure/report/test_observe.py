"""Test the errors of a report, which quote the reader and name the remedy."""

import pytest
import torch
from torch import nn

from flopbook.measure import Report


class Regression(nn.Linear):
    """Is a model by that name."""


@pytest.fixture
def model():
    return Regression(6, 2)


@pytest.mark.parametrize("step", [None, 3, "model(x)"])
def test_a_step_that_cannot_be_called(model, step):
    with pytest.raises(TypeError) as error:
        Report.measure(step, model=model)
    assert str(error.value) == f"{step!r} cannot be called: write Report.measure(lambda: ..., model=model)"


def test_a_step_that_wants_arguments(model):
    for step, wanted in (model, "Regression wants input"), (lambda x, y=2, *z: model(x), "<lambda> wants x"):
        with pytest.raises(TypeError) as error:
            Report.measure(step, model)
        assert str(error.value) == f"{wanted}, but a step takes nothing: write lambda: step(...) instead"


def test_a_step_without_a_signature_may_be_measured(model):
    class Step:
        __signature__ = "unknown"

        def __call__(self):
            model(torch.ones(7, 6))

    assert Report.measure(Step(), model).samples == 7


@pytest.mark.parametrize("wrong", [None, "Regression", len])
def test_a_model_that_is_not_a_module_is_refused(wrong):
    with pytest.raises(TypeError) as error:
        Report.measure(lambda: None, model=wrong)
    assert str(error.value) == f"model={wrong!r} is not a torch.nn.Module: give the model that the step calls"


@pytest.mark.filterwarnings("ignore:.*torch.jit")  # deprecated, but models that people keep are made so
def test_a_scripted_model(model):
    scripted = torch.jit.script(nn.Linear(3, 2))
    with pytest.raises(TypeError) as error:
        Report.measure(lambda: scripted(torch.ones(4, 3)), model=scripted)
    assert str(error.value) == "Linear is TorchScript: give the model, and let the step call it, unscripted"


def test_a_step_that_never_calls_the_model(model):
    with pytest.raises(ValueError) as error:
        Report.measure(lambda: torch.ones(2, 3) @ torch.ones(3, 4), model=model, samples=2)
    assert str(error.value) == "the step never called Regression: give the model that it calls, as in model(x)"


@pytest.mark.parametrize("samples", [0, -1, 2.5, True, "7"])
def test_samples_that_are_not_a_number_are_refused(model, samples):
    with pytest.raises(ValueError) as error:
        Report.measure(lambda: model(torch.ones(7, 6)), model=model, samples=samples)
    assert str(error.value) == f"samples={samples!r}: give how many samples a step takes, 1 or more"


def test_a_batch_of_no_samples(model):
    with pytest.raises(ValueError) as error:
        Report.measure(lambda: model(torch.ones(0, 6)), model)
    assert str(error.value) == "Regression was called with float32[0, 6]: give it a sample"


def test_samples_that_cannot_be_seen():
    class Constant(nn.Module):
        def forward(self):
            return torch.ones(2)

    constant = Constant()
    with pytest.raises(ValueError) as error:
        Report.measure(constant, model=constant)
    assert str(error.value) == "Constant was called without a tensor that has axes: give samples=..."


@pytest.mark.parametrize("steps", [0, -10, 1.5, True, "10"])
def test_steps_that_are_not_a_number_are_refused(model, steps):
    report = Report.measure(lambda: model(torch.ones(7, 6)), model=model)
    with pytest.raises(ValueError) as error:
        report.project(steps)
    assert str(error.value) == f"steps={steps!r}: give how many steps, 1 or more"


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_lazy_parameters():
    lazy = nn.LazyLinear(3)
    with pytest.raises(ValueError) as error:
        Report.measure(lambda: lazy(torch.ones(2, 3)), model=lazy)
    assert str(error.value) == "LazyLinear has parameters without a size yet: call it once before"


def test_something_to_restore_that_holds_nothing(model):
    with pytest.raises(TypeError) as error:
        Report.measure(lambda: model(torch.ones(7, 6)), model=model, restore=[3])
    assert str(error.value) == "restore: 3 has no attributes to bring back: give objects such as a scheduler"


@pytest.mark.parametrize(
    "wrong", [None, nn.Linear(1, 1), (layer for layer in ())], ids=["None", "a module", "a generator"]
)
def test_things_to_restore_that_are_not_a_list_are_refused(model, wrong):
    with pytest.raises(TypeError) as error:
        Report.measure(lambda: model(torch.ones(7, 6)), model, restore=wrong)
    assert str(error.value) == f"restore={wrong!r} is not a list: write restore=[...]"


def test_a_profiler_that_runs_already(model):
    with torch.profiler.profile(acc_events=True), pytest.raises(RuntimeError) as error:
        Report.measure(lambda: model(torch.ones(7, 6)), model)
    assert str(error.value) == "torch.profiler runs already: call Report.measure outside of its with block"
