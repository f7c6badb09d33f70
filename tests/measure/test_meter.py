"""The meter of a training loop: counts a step once for each shape, and times it thereafter."""

import pytest
import torch
from torch import nn

from flopbook.measure import FlopMeter

B, D, K = 7, 5, 3
STEP = 2 * 2 * B * D * K  # forward and the weight's gradient


@pytest.fixture
def train():
    layer = nn.Linear(D, K)
    return lambda x: layer(x).sum().backward()


def test_every_step_adds_its_flops(train):
    meter = FlopMeter()
    for x in torch.ones(4, B, D):
        with meter(x):
            train(x)
    assert (meter.steps, meter.flops) == (4, 4 * STEP)
    assert meter.flop_per_s > 0


def test_another_shape_is_counted_anew(train):
    meter = FlopMeter()
    for length in (B, B, 2 * B, B):
        x = torch.ones(length, D)
        with meter(x):
            train(x)
    assert (meter.steps, meter.flops) == (4, 5 * STEP)
    assert meter.count.total == STEP


def test_anything_that_the_flops_depend_on_is_a_key(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for needed in (False, True, True):
        with meter(x, needed):
            train(x.requires_grad_(needed))
            x = x.detach()
    assert meter.flops == 3 * STEP + 2 * (STEP // 2)


def test_data_that_needs_a_gradient_is_counted_anew(train):
    meter = FlopMeter()
    for needed in (False, True, True):
        x = torch.ones(B, D, requires_grad=needed)
        with meter(x):
            train(x)
    assert meter.flops == 3 * STEP + 2 * (STEP // 2)


def test_an_evaluation_of_the_same_shape_is_counted_anew(train):
    meter, layer, x = FlopMeter(), nn.Linear(D, K), torch.ones(B, D)
    with meter(x):
        train(x)
    with torch.no_grad():
        for _ in range(2):
            with meter(x):
                layer(x)
    assert meter.flops == STEP + 2 * (STEP // 2)


def test_a_sparse_matrix_that_stores_more_is_counted_anew():
    meter = FlopMeter()
    for stored in (2, 5):
        matrix = (torch.arange(9.0).reshape(3, 3) < stored).float().to_sparse()
        with meter(matrix):
            torch.sparse.mm(matrix, torch.ones(3, K))
    assert meter.flops == 2 * (2 + 5) * K


def test_rates_are_there_once_a_step_was_only_timed(train):
    meter, x = FlopMeter(peak_flop_per_s=1e12), torch.ones(B, D)
    with meter(x):
        train(x)
    assert (meter.flop_per_s, meter.mfu) == (None, None)
    with meter(x):
        train(x)
    assert meter.mfu == pytest.approx(meter.flop_per_s / 1e12)


def test_without_a_peak_there_is_no_utilization(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for _ in range(2):
        with meter(x):
            train(x)
    assert meter.mfu is None


def test_a_step_that_fails_is_not_metered(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), meter(x):
            train(x)
            _ = 1 / 0
    assert (meter.steps, meter.flops) == (0, 0)


def test_it_prints_steps_and_flops(train):
    meter, x = FlopMeter(), torch.ones(B, D)
    with meter(x):
        train(x)
    assert repr(meter) == f"<1 step, {STEP} FLOPs>"


@pytest.mark.parametrize("peak", [0, -1.0, float("nan"), float("inf"), True, "1e12"])
def test_a_peak_is_a_positive_number(peak):
    with pytest.raises(ValueError) as error:
        FlopMeter(peak)
    assert str(error.value) == f"peak_flop_per_s={peak!r} is no peak: write a positive number of FLOP/s"


def test_inputs_may_come_in_lists_and_dictionaries(train):
    meter = FlopMeter()
    for length in (B, B, 2 * B):
        batch = {"x": torch.ones(length, D), "others": [torch.ones(length), None]}
        with meter(batch):
            train(batch["x"])
    assert (meter.steps, meter.flops) == (3, 4 * STEP)
    with meter({"y": torch.ones(B, D)}):
        pass
    assert meter.flops == 4 * STEP


@pytest.mark.parametrize("wrong", [{1, 2}, bytearray(b"x")])
def test_an_input_that_tells_nothing(wrong):
    meter = FlopMeter()
    with pytest.raises(TypeError) as error, meter([wrong]):
        pass
    assert str(error.value) == f"{wrong!r} is no input to know a step by: give tensors, numbers or text"
    assert meter.steps == 0


def test_a_meter_without_inputs():
    with pytest.raises(TypeError) as error, FlopMeter():
        pass
    assert str(error.value) == "a meter tells steps apart by their inputs: write with meter(x): ..."


def test_what_a_meter_does_not_take():
    with pytest.raises(TypeError) as error:
        FlopMeter(peak=1e12)
    assert str(error.value) == "a meter takes no peak: write FlopMeter(peak_flop_per_s=...)"
