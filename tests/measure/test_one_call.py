"""Test that one call counts what the same call counts by hand, and leaves nothing behind."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

import flopbook
from flopbook import FlopCount, count


class Net(nn.Module):
    """Gives two results, of which one holds no floating-point numbers, and changes a buffer."""

    def __init__(self):
        super().__init__()
        self.first, self.norm, self.second = nn.Linear(6, 5), nn.BatchNorm1d(5), nn.Linear(5, 3, bias=False)

    def forward(self, x, scale=1.0):
        y = self.second(self.norm(self.first(x))) * scale
        return {"y": y, "chosen": y.argmax(-1)}


@dataclass
class Answer:
    logits: torch.Tensor
    kept: list[torch.Tensor]


class Wrapped(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        y = self.net(x)["y"]
        return Answer(y, [y, x])


def by_hand(call):
    with FlopCount() as counted:
        results = call()
        if any(result.requires_grad for result in results):
            torch.autograd.backward(results, [torch.ones_like(result) for result in results])
    return counted


def phases(counted):
    return counted.forward, counted.backward, dict(counted.pointwise)


def test_a_call_is_counted_forward_and_backward():
    net, x = Net(), torch.randn(7, 6)
    assert phases(count(net, x)) == phases(by_hand(lambda: [net(x)["y"]]))
    assert (count(net, x).forward, count(net, x).backward) == (2 * 7 * (30 + 15), 2 * 7 * 30 + 4 * 7 * 15)


def test_forward_alone():
    assert count(Net(), torch.randn(7, 6), backward=False).backward == 0


def test_named_arguments_go_to_the_model():
    scale = torch.ones(7, 3, requires_grad=True)
    assert (
        count(Net(), torch.randn(7, 6), scale=scale).pointwise["backward"]
        > count(Net(), torch.randn(7, 6)).pointwise["backward"]
    )


def test_results_in_a_data_class_are_found():
    net, x = Net(), torch.randn(7, 6)
    assert count(Wrapped(net), x).backward == count(net, x).backward


def test_without_gradients_there_is_no_backward_pass():
    assert count(Net().requires_grad_(False), torch.randn(7, 6)).backward == 0
    with torch.no_grad():
        assert count(Net(), torch.randn(7, 6)).backward == 0


def test_a_model_without_data_is_counted_on_the_meta_device():
    with torch.device("meta"):
        assert count(nn.Linear(4096, 11008), torch.empty(2048, 4096)).total == 4 * 2048 * 4096 * 11008


def test_everything_is_as_it_was():
    net, x = Net(), torch.randn(7, 6, requires_grad=True)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    random = torch.get_rng_state()
    count(net, x)
    assert all(torch.equal(before[name], value) for name, value in net.state_dict().items())
    assert {tensor.grad for tensor in (*net.parameters(), x)} == {None}
    assert torch.equal(torch.get_rng_state(), random)


def test_an_error_of_the_model_leaves_everything_as_it_was():
    net = Net()
    with pytest.raises(RuntimeError, match="shapes cannot be multiplied"):
        count(net, torch.randn(7, 5))
    assert net.norm.num_batches_tracked == 0


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: count(len, [1]), r"<built-in function len> is not a module: write with FlopCount\(\) as counted:"),
        (lambda: count(Net(), torch.ones(1, 6), backward=1), "backward=1 is neither True nor False: give one of them"),
    ],
)
def test_what_cannot_be_counted_is_quoted(ask, message):
    with pytest.raises(TypeError, match=message):
        ask()


def test_the_package_exports_what_measures_a_model():
    assert flopbook.__all__ == ["FlopCount", "FlopMeter", "Report", "count", "trace"]
