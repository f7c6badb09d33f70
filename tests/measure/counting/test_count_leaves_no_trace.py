"""Test that a count leaves everything as it was, and disturbs no other count."""

import threading
from concurrent.futures import ThreadPoolExecutor
from types import MethodDescriptorType

import pytest
import torch
from torch import nn, ones
from torch._dynamo import eval_frame
from torch.nn.modules import module as nn_module
from torch.optim import optimizer as torch_optimizer
from torch.utils._python_dispatch import _get_current_dispatch_mode_stack
from torch.utils.flop_counter import FlopCounterMode

from flopbook.measure import FlopCount


@pytest.fixture(autouse=True)
def _compiler_as_it_is_by_default():
    torch.compiler.set_stance("default")
    yield
    torch.compiler.set_stance("default")


class Broken(nn.Module):
    def forward(self, x):
        return x @ ones(2, 3)  # does not fit


@pytest.fixture
def model():
    return nn.Sequential(nn.Linear(5, 4), nn.Dropout(), nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3)))


def step(model):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    optimizer.zero_grad()  # adding to earlier gradients would be arithmetic too
    model(ones(7, 5)).square().mean().backward()
    optimizer.step()


def broken_forward(model):
    nn.Sequential(model, Broken())(ones(7, 5))


def broken_backward(model):
    y = model(ones(7, 5))
    y.register_hook(lambda grad: 1 / 0)
    y.sum().backward()


def broken_update(model):
    def closure():
        raise ZeroDivisionError

    torch.optim.SGD(model.parameters(), lr=0.1).step(closure)


def surroundings(model):
    """Return all that a count might leave behind: hooks, modes, methods, keys, settings."""
    hooks = (
        nn_module._global_forward_pre_hooks,
        nn_module._global_forward_hooks,
        nn_module._global_backward_hooks,
        nn_module._global_backward_pre_hooks,
        nn_module._global_module_registration_hooks,
        nn_module._global_parameter_registration_hooks,
        nn_module._global_forward_hooks_always_called,
        torch_optimizer._global_optimizer_pre_hooks,
        torch_optimizer._global_optimizer_post_hooks,
    )
    own = [
        (sorted(vars(module)), module.training, len(module._forward_hooks), len(module._forward_pre_hooks))
        for module in model.modules()
    ]
    patched = [
        dict(vars(kind))
        for kind in (nn.Module, nn.Linear, torch.Tensor, torch.optim.Optimizer, torch.optim.SGD, threading.Thread)
    ]
    return {
        "hooks": [list(registered) for registered in hooks],
        "modules": own,
        "state": list(model.state_dict()),
        "classes": patched,
        "functions": dict(vars(torch.nn.functional)),
        "modes": _get_current_dispatch_mode_stack(),
        "gradients": torch.is_grad_enabled(),
        "compiler": eval_frame._stance,
    }


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_a_count_leaves_everything_as_it_was(model, mode):
    getattr(model, mode)()
    step(model)  # the first step makes PyTorch fill some caches
    before = surroundings(model)
    with FlopCount():
        step(model)
    assert surroundings(model) == before


@pytest.mark.parametrize(
    ("broken", "error"),
    [(broken_forward, RuntimeError), (broken_backward, ZeroDivisionError), (broken_update, ZeroDivisionError)],
)
def test_so_does_a_count_of_a_step_that_fails(model, broken, error):
    step(model)
    before = surroundings(model)
    with pytest.raises(error), FlopCount():
        broken(model)
    assert surroundings(model) == before


def test_what_ran_before_the_failure_is_counted(model):
    with pytest.raises(RuntimeError), FlopCount() as counted:
        broken_forward(model)
    assert counted.forward == 2 * 7 * (5 * 4 + 4 * 3)


def test_a_failure_inside_the_block_does_not_shift_the_modules(model):
    with FlopCount() as counted:
        with pytest.raises(RuntimeError):
            broken_forward(model)
        _ = ones(7, 5) @ ones(5, 4)
    assert counted.by_module[""].forward - counted.by_module["Sequential"].forward == 2 * 7 * 5 * 4


def test_the_numbers_are_the_same_as_without_a_count(model):
    model.eval()
    x = torch.linspace(-1, 1, 35).reshape(7, 5)
    plain = model(x)
    with FlopCount():
        assert torch.equal(model(x), plain)


def test_random_numbers_are_the_same_as_without_a_count(model):
    torch.manual_seed(0)
    plain = model(ones(7, 5))
    torch.manual_seed(0)
    with FlopCount():
        assert torch.equal(model(ones(7, 5)), plain)


def test_a_second_run_gives_the_same_count(model):
    counts = []
    for _ in range(3):
        with FlopCount() as counted:
            step(model)
        counts.append(counted.calls)
    assert counts[0] == counts[1] == counts[2]


def test_a_count_can_be_entered_again_and_starts_anew(model):
    counted = FlopCount()
    for _ in range(2):
        with counted:
            step(model)
    with FlopCount() as once:
        step(model)
    assert counted.calls == once.calls


def test_a_count_cannot_be_entered_twice_at_a_time():
    with FlopCount() as counted, pytest.raises(RuntimeError) as error:
        counted.__enter__()
    assert str(error.value) == "this FlopCount counts already: make another one for the inner with block"


def test_a_count_takes_no_model(model):
    with pytest.raises(TypeError) as error:
        FlopCount(model)
    assert str(error.value) == "FlopCount takes no argument, but was given Sequential: write FlopCount()"


def test_a_count_takes_no_options():
    with pytest.raises(TypeError) as error:
        FlopCount(depth=2)
    assert str(error.value) == "FlopCount takes no argument, but was given depth: write FlopCount()"


def test_the_refusal_does_not_end_the_count():
    with FlopCount() as counted:
        with pytest.raises(RuntimeError):
            counted.__enter__()
        _ = ones(3, 4) @ ones(4, 5)
    assert counted.total == 120


def test_what_runs_after_the_block_is_not_counted():
    with FlopCount() as counted:
        _ = ones(3, 4) @ ones(4, 5)
    _ = ones(3, 4) @ ones(4, 5)
    assert counted.total == 120


def test_nested_counts_both_count(model):
    with FlopCount() as outer:
        step(model)
        with FlopCount() as inner:
            step(model)
    with FlopCount() as alone:
        step(model)
    assert inner.calls == alone.calls
    assert (outer.forward, outer.backward) == (2 * alone.forward, 2 * alone.backward)
    assert outer.by_module["Sequential"].flops == 2 * alone.by_module["Sequential"].flops


def test_a_count_inside_a_module(model):
    counts = []

    class Counted(nn.Module):
        def forward(self, x):
            with FlopCount() as counted:
                y = model(x)
            counts.append(counted)
            return y

    with FlopCount() as outer:
        Counted()(ones(7, 5))
    assert counts[0].total == outer.total > 0


def test_a_mode_of_the_reader_outside_the_block_stays(model):
    with FlopCounterMode(display=False) as theirs:
        with FlopCount() as ours:
            _ = ones(3, 4) @ ones(4, 5)
        _ = ones(3, 4) @ ones(4, 5)
    assert (ours.total, theirs.get_total_flops()) == (120, 240)


def test_a_known_update_below_another_mode_leaves_that_mode_in_place():
    w = ones(4, 5, requires_grad=True)
    w.grad = ones(4, 5)
    optimizer = torch.optim.SGD([w], lr=0.1, momentum=0.9)
    optimizer.step()
    with FlopCount() as once:
        optimizer.step()
    with FlopCount() as ours, FlopCounterMode(display=False) as theirs:
        optimizer.step()
        _ = ones(3, 4) @ ones(4, 5)
    assert (ours.total, theirs.get_total_flops()) == (120, 120)
    assert ours.pointwise["optimizer"] == once.pointwise["optimizer"] > 0


def test_threads_and_tensors_have_their_own_methods_again():
    with FlopCount():
        assert threading.Thread.start.__module__ != "threading"
    assert threading.Thread.start.__module__ == "threading"
    assert torch.Tensor.__dlpack__.__module__ == "torch._tensor"
    assert isinstance(torch.Tensor.numpy, MethodDescriptorType)


def test_the_end_of_an_inner_count_leaves_the_threads_of_the_outer_one_counted():
    with FlopCount() as outer:
        with FlopCount():
            pass
        in_thread(lambda: ones(3, 4) @ ones(4, 5))
    assert outer.total == 120


def in_thread(work):
    """Run a function in another thread to its end, and raise its error here."""
    failures = []

    def guarded():
        try:
            work()
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=guarded)
    thread.start()
    thread.join()
    for failure in failures:
        raise failure


def test_what_threads_run_that_ran_before_the_block_is_not_counted(model):
    with ThreadPoolExecutor(1) as pool:
        pool.submit(lambda: None).result()
        with FlopCount() as counted:
            pool.submit(step, model).result()
    assert (counted.total, counted.calls, list(counted.by_module)) == (0, {}, [""])


def test_what_threads_run_that_another_thread_started_is_not_counted(model):
    entered, left = threading.Event(), threading.Event()

    def other():
        entered.wait(timeout=20)
        in_thread(lambda: step(model))
        left.set()

    thread = threading.Thread(target=other)
    thread.start()
    with FlopCount() as counted:
        entered.set()
        left.wait(timeout=20)
    thread.join()
    assert (counted.total, counted.calls) == (0, {})


def test_a_thread_that_outlives_the_block_is_counted_up_to_its_end():
    with ThreadPoolExecutor(1) as pool:
        with FlopCount() as counted:
            pool.submit(lambda: ones(3, 4) @ ones(4, 5)).result()
        assert counted.total == 120
        pool.submit(lambda: ones(3, 4) @ ones(4, 5)).result()
    assert counted.total == 120


def test_counts_in_threads_do_not_disturb_each_other():
    """Each thread trains a model of another width, in turns as the barrier has it."""
    widths = range(1, 5)
    barrier = threading.Barrier(len(widths))
    counts: dict[int, tuple] = {}
    alone: dict[int, tuple] = {}

    def train(width, wait):
        layer = nn.Linear(width, width)
        optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
        with FlopCount() as counted:
            for _ in range(3):
                wait()
                y = layer(ones(7, width))
                wait()
                y.sum().backward()
                wait()
                optimizer.step()
        return counted.forward, counted.backward, counted.pointwise["optimizer"]

    for n in widths:  # a product forward, one for the weight backward; a multiplication and an addition to update
        alone[n] = 3 * 2 * 7 * n * n, 3 * 2 * 7 * n * n, 3 * 2 * (n * n + n)
    threads = [
        threading.Thread(
            target=lambda width=width: counts.update({width: train(width, lambda: barrier.wait(timeout=20))})
        )
        for width in widths
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counts == alone


def test_an_update_in_another_thread_does_not_end_ours():
    ours = nn.Parameter(ones(3, 4))
    theirs = nn.Parameter(ones(2))
    theirs.grad = ones(2)

    class Turning(torch.optim.Optimizer):
        @torch.no_grad()
        def step(self):
            in_thread(torch.optim.SGD([theirs], lr=0.1).step)
            ours.copy_(ours @ torch.eye(4))

    optimizer = Turning([ours], {})
    with FlopCount() as counted:
        optimizer.step()
    assert (counted.forward, counted.optimizer) == (0, 2 * 3 * 4 * 4)


def test_counts_that_overlap_in_threads_leave_the_compiler_as_it_was():
    before = eval_frame._stance
    entered, left = threading.Event(), threading.Event()

    def first():
        with FlopCount():
            entered.set()
            left.wait(timeout=20)

    thread = threading.Thread(target=first)
    thread.start()
    entered.wait(timeout=20)
    with FlopCount():
        left.set()
        thread.join()
    assert eval_frame._stance == before
