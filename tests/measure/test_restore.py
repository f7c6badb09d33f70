"""Test that a report leaves everything as it was, also when the step fails."""

import copy
import random
import threading
from collections import OrderedDict, deque

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.modules import module as nn_module
from torch.optim import optimizer as torch_optimizer
from torch.utils import _python_dispatch

from flopbook.measure import Report


class Net(nn.Module):
    """Changes whatever a module can change: buffers, modes, attributes, random numbers."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 6))
        self.tied = nn.Linear(6, 8)
        self.tied.weight = self.body[0].weight
        self.register_buffer("mean", torch.zeros(6), persistent=False)
        self.calls, self.seen, self.last = 0, [], None

    def forward(self, x):
        self.calls += 1
        self.seen.append(x.shape)
        self.last = self.body(x)
        self.mean = 0.9 * self.mean + self.last.detach().mean(0)
        return self.tied(self.last)


def snapshot(net, optimizer):
    """Return all that a step changes."""
    return copy.deepcopy({
        "state": net.state_dict(),
        "mean": net.mean,
        "gradients": [parameter.grad for parameter in net.parameters()],
        "modes": [module.training for module in net.modules()],
        "attributes": (net.calls, net.seen, net.last),
        "optimizer": optimizer.state_dict(),
        "random": (random.getstate(), np.random.get_state()[1], torch.get_rng_state()),
    })  # fmt: skip


def same(left, right):
    if isinstance(left, (torch.Tensor, np.ndarray)):
        return type(left) is type(right) and np.array_equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, (list, tuple)):
        return len(left) == len(right) and all(map(same, left, right))
    return left == right


def global_hooks():
    return [
        dict(hooks)
        for hooks in (
            nn_module._global_forward_hooks,
            nn_module._global_forward_pre_hooks,
            torch_optimizer._global_optimizer_pre_hooks,
            torch_optimizer._global_optimizer_post_hooks,
        )
    ]


@pytest.fixture
def net():
    torch.manual_seed(3)
    random.seed(3)
    np.random.seed(3)
    return Net().eval()


OPTIMIZERS = {
    "SGD": lambda parameters: torch.optim.SGD(parameters, lr=0.1, momentum=0.9),
    "AdamW": torch.optim.AdamW,
    "LBFGS": lambda parameters: torch.optim.LBFGS(parameters, max_iter=2),
}


@pytest.fixture(params=OPTIMIZERS)
def optimizer(request, net):
    return OPTIMIZERS[request.param](net.parameters())


def training(net, optimizer, fails_in_run=None):
    runs = []

    def loss():
        optimizer.zero_grad()
        value = net(torch.randn(7, 6) + random.random() + np.random.rand()).square().mean()
        value.backward()
        return value

    def step():
        net.train()
        optimizer.step(loss)
        runs.append(1)
        if len(runs) == fails_in_run:
            raise KeyError("the step's own")

    return step


@pytest.mark.parametrize("stepped_before", [False, True])
def test_a_training_step(net, optimizer, stepped_before):
    step = training(net, optimizer)
    if stepped_before:
        step()
        net.last = None  # a deep copy refuses what has a history
    before, tensors = snapshot(net, optimizer), [(id(p), id(p.grad)) for p in net.parameters()]
    report = Report.measure(step, model=net)
    assert report.total > 0
    assert same(snapshot(net, optimizer), before)
    assert [(id(p), id(p.grad)) for p in net.parameters()] == tensors
    assert net.tied.weight is net.body[0].weight


@pytest.mark.parametrize("run", [1, 2, 3, 5])
def test_a_step_that_fails(net, run):
    optimizer = torch.optim.AdamW(net.parameters())
    before, hooks = snapshot(net, optimizer), global_hooks()
    with pytest.raises(KeyError, match="the step's own"):
        Report.measure(training(net, optimizer, fails_in_run=run), model=net)
    assert same(snapshot(net, optimizer), before)
    assert global_hooks() == hooks
    assert not _python_dispatch._get_current_dispatch_mode_stack()


def test_no_hook_and_no_mode_stays(net):
    hooks = global_hooks()
    Report.measure(lambda: net(torch.ones(7, 6)), model=net)
    assert global_hooks() == hooks
    assert not net._forward_pre_hooks and not net._forward_hooks
    assert not _python_dispatch._get_current_dispatch_mode_stack()


def test_training_goes_on_as_if_nothing_had_been(net):
    twin = copy.deepcopy(net)
    optimizers = [torch.optim.Adam(model.parameters()) for model in (net, twin)]
    Report.measure(training(net, optimizers[0]), model=net)
    states = []
    for model, optimizer in zip((net, twin), optimizers, strict=True):
        torch.manual_seed(3)
        random.seed(3)
        np.random.seed(3)
        for _ in range(2):
            training(model, optimizer)()
        states.append(model.state_dict())
    assert same(*states)


def test_the_same_report_twice(net):
    step = training(net, torch.optim.Adam(net.parameters()))
    first, second = (Report.measure(step, model=net) for _ in range(2))
    assert first.counted == second.counted
    assert first.memory == second.memory


def test_what_is_named_is_restored_too(net):
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, step_size=1)
    average = copy.deepcopy(net)
    train = training(net, optimizer)

    def step():
        train()
        scheduler.step()
        average.mean += 1
        with torch.no_grad():
            average.tied.bias.lerp_(net.tied.bias, 0.5)

    before = copy.deepcopy((scheduler.state_dict(), average.state_dict(), average.mean))
    Report.measure(step, model=net, restore=[scheduler, average])
    assert same((scheduler.state_dict(), average.state_dict(), average.mean), before)
    assert optimizer.param_groups[0]["lr"] == 0.1


def test_other_threads_train_on(net):
    """Only the optimizers that step in this thread are brought back."""
    other = nn.Linear(6, 6)
    optimizer = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9)

    def elsewhere():
        other(torch.ones(2, 6)).sum().backward()
        optimizer.step()

    def step():
        thread = threading.Thread(target=elsewhere)
        thread.start()
        thread.join()
        net(torch.ones(7, 6))

    before = other.weight.clone()
    Report.measure(step, model=net)
    assert not torch.equal(other.weight, before)
    assert optimizer.state


def test_attributes_that_go_round_in_a_circle(net):
    net.circle = {"self": []}
    net.circle["self"].append(net.circle)
    Report.measure(lambda: net(torch.ones(7, 6)), model=net)
    assert net.circle["self"] == [net.circle["self"][0]] and net.circle["self"][0] is net.circle


def test_an_expanded_buffer(net):
    net.register_buffer("mask", torch.ones(1, 6).expand(7, 6))
    before = net.mask.clone()
    Report.measure(lambda: net.mask[:1].mul_(2) * net(torch.ones(7, 6)).sum(), model=net)
    assert torch.equal(net.mask, before)
    assert net.mask.stride() == (0, 1)


def test_an_update_by_hand(net):
    def step():
        net(torch.ones(7, 6)).sum().backward()
        for parameter in net.parameters():
            parameter.data = parameter.data - 0.1 * parameter.grad

    before = copy.deepcopy(net.state_dict())
    Report.measure(step, model=net)
    assert same(net.state_dict(), before)


def test_the_meta_device():
    model = nn.Linear(6, 2, device="meta")
    Report.measure(lambda: model(torch.ones(7, 6, device="meta")).sum().backward(), model)
    assert model.weight.grad is None


def test_sparse_gradients():
    model = nn.Embedding(5, 3, sparse=True)

    def step():
        model(torch.tensor([1, 3])).sum().backward()

    step()
    before = model.weight.grad.to_dense()
    Report.measure(step, model=model)
    assert model.weight.grad.is_sparse
    assert torch.equal(model.weight.grad.to_dense(), before)


class FrozenDict(OrderedDict):
    """Refuses every change once it is made, as configurations of diffusers do."""

    def __init__(self, *content):
        super().__init__(*content)
        self.frozen = True

    def __setitem__(self, key, value):
        if getattr(self, "frozen", False):
            raise TypeError("it is frozen")
        super().__setitem__(key, value)

    def update(self, *_, **__):
        raise TypeError("it is frozen")


def test_a_configuration_that_refuses_changes_is_left_alone(net):
    net.config = FrozenDict({"width": 8, "depths": [1, 2]})
    optimizer = torch.optim.AdamW(net.parameters())
    before = snapshot(net, optimizer)
    Report.measure(training(net, optimizer), model=net)
    assert same(snapshot(net, optimizer), before)
    assert net.config == {"width": 8, "depths": [1, 2]}


def test_what_cannot_be_restored_is_named_and_everything_else_is_restored(net):
    net.config, net.last_shape = FrozenDict({"width": 8}), None
    optimizer = torch.optim.AdamW(net.parameters())
    train, before = training(net, optimizer), snapshot(net, optimizer)

    def step():
        dict.__setitem__(net.config, "width", 9)
        net.last_shape = (7, 6)
        train()

    said = r"^not restored: Net.config \(TypeError: it is frozen\). Everything else is as it was before$"
    with pytest.warns(UserWarning, match=said) as warned:
        Report.measure(step, model=net)
    assert warned[0].filename == __file__
    assert same(snapshot(net, optimizer), before)
    assert net.last_shape is None


def test_containers_of_every_kind(net):
    net.names, net.queue, net.table = {"a"}, deque([1, 2], maxlen=2), OrderedDict(b=1, a=2)

    def step():
        net.names.add("b")
        net.queue.append(3)
        net.table.move_to_end("b")
        net(torch.ones(7, 6))

    kept = net.names, net.queue, net.table
    Report.measure(step, model=net)
    assert (net.names, net.queue, [*net.table]) == ({"a"}, deque([1, 2]), ["b", "a"])
    assert all(one is other for one, other in zip(kept, (net.names, net.queue, net.table), strict=True))


def test_a_layer_that_the_step_freezes(net):
    def step():
        net.tied.bias.requires_grad_(False)
        net(torch.ones(7, 6)).sum().backward()

    Report.measure(step, model=net)
    assert net.tied.bias.requires_grad
