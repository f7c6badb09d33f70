"""An operator with equal arguments runs once, and its results are as if it had run again."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from flopbook.tracing.repeats import Repeats
from flopbook.tracing.work import Work

aten = torch.ops.aten


@pytest.fixture
def run():
    fake, repeats = FakeTensorMode(allow_non_fake_inputs=True), Repeats(Work())
    with fake:
        yield lambda func, *args, **kwargs: repeats.run(fake, func, args, kwargs)


def shape(tensor):
    return tensor.shape, tensor.stride(), tensor.dtype, tensor.device


def test_equal_arguments_share_a_call_and_get_results_of_their_own(run):
    (first, call), (second, again) = (run(aten.mm.default, torch.empty(2, 3), torch.empty(3, 4)) for _ in range(2))
    assert call is again and first is not second
    assert shape(first) == shape(second)


@pytest.mark.parametrize(
    "other",
    [
        lambda: torch.empty(2, 4),
        lambda: torch.empty(3, 2).mT,
        lambda: torch.empty(2, 3, dtype=torch.float64),
        lambda: torch.empty(2, 3, device="meta"),
        lambda: torch.empty(7)[1:].view(2, 3),
    ],
    ids=["shape", "stride", "type", "device", "offset"],
)
def test_another_argument_is_another_call(run, other):
    _, call = run(aten.neg.default, torch.empty(2, 3))
    given = other()
    out, another = run(aten.neg.default, given)
    assert call is not another
    assert shape(out) == shape(torch.neg(given))


def test_a_number_and_a_truth_are_different_arguments(run):
    (whole, _), (truth, _) = (run(aten.full.default, [2], value) for value in (1, True))
    assert (whole.dtype, truth.dtype) == (torch.int64, torch.bool)


def test_several_results_are_all_made_anew(run):
    for _ in range(2):
        parts, _ = run(aten.split.Tensor, torch.empty(5, 3), 2)
        assert [part.shape[0] for part in parts] == [2, 2, 1]


def test_what_writes_into_an_argument_runs_every_time(run):
    x = torch.empty(2, 3)
    assert run(aten.transpose_.default, x, 0, 1) == (x, None)
    assert run(aten.transpose_.default, x, 0, 1)[0].shape == (2, 3)


def test_a_series_has_values(run):
    series, _ = run(aten.linspace.default, 0, 1, 3)
    assert run(aten.mul.Tensor, series, series)[0].tolist() == [0, 0.25, 1]
