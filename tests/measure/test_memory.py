"""Test bytes by kind, over time, and those that stay."""

import pytest
import torch
from torch import nn
from torch.autograd.graph import save_on_cpu, saved_tensors_hooks
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard
from torch.utils.checkpoint import checkpoint

from flopbook.measure import FlopCount, held_bytes, watch_memory, weigh
from flopbook.measure.distributed import fake_ranks

B, D, H = 7, 16, 32  # batch, width of the blocks, width within


class Blocks(nn.Module):
    """Runs three blocks through `run`."""

    def __init__(self, run):
        super().__init__()
        self.run = run
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.Linear(D, H), nn.GELU(), nn.Linear(H, D)) for _ in range(3)
        )  # fmt: skip

    def forward(self, x):
        for block in self.blocks:
            x = self.run(block, x)
        return x


def weighed(run, needs_gradient=True):
    model, x = Blocks(run), torch.randn(B, D, requires_grad=needs_gradient)
    return weigh(lambda: model(x).square().sum().backward(), model, [])


RUNS = {
    "non-reentrant": lambda block, x: checkpoint(block, x, use_reentrant=False),
    "reentrant": lambda block, x: checkpoint(block, x, use_reentrant=True),
}


def test_without_checkpoints_each_block_keeps_its_input_and_two_results():
    memory = weighed(lambda block, x: block(x))
    assert memory.activations == memory.after_forward == 4 * B * (3 * (D + 2 * H) + D)


@pytest.mark.parametrize("run", RUNS.values(), ids=RUNS)
def test_a_checkpoint_keeps_its_input_and_then_what_its_second_run_keeps(run):
    memory = weighed(run)
    assert memory.after_forward == 4 * B * (3 * D + D)  # and what is squared
    assert memory.activations == 4 * B * (3 * D + 2 * H)


def test_a_checkpoint_of_data_that_needs_no_gradient():
    memory = weighed(RUNS["non-reentrant"], needs_gradient=False)
    assert (memory.after_forward, memory.activations) == (4 * B * (3 * D + D), 4 * B * (3 * D + 2 * H))


def test_a_checkpoint_within_a_checkpoint():
    inner = RUNS["non-reentrant"]

    def outer(block, x):
        return inner(lambda x: block[2](inner(lambda x: block[1](block[0](x)), x)), x)

    memory = weighed(outer)
    assert memory.after_forward == 4 * B * (3 * D + D)
    assert memory.activations == 4 * B * (3 * D + H)  # of both results within, one at a time


def test_what_is_offloaded_is_weighed_where_it_lies():
    def offloaded(block, x):
        with save_on_cpu(pin_memory=True):  # which copies what is on the processor, too
            return block(x)

    memory = weighed(offloaded)
    assert memory.activations == 4 * B * (3 * (D + 2 * H) + D) + 3 * 2 * 4 * D * H  # copies of the weights too


def test_hooks_are_pytorchs_own_again():
    before = saved_tensors_hooks.__enter__
    with pytest.raises(KeyError):
        weigh(lambda: {}["the step's own"], nn.Linear(1, 1), [])
    assert saved_tensors_hooks.__enter__ is before


def test_what_runs_again_is_still_recomputed_while_it_is_weighed():
    model, x = Blocks(RUNS["non-reentrant"]), torch.randn(B, D)
    with FlopCount() as counted:
        weigh(lambda: model(x).square().sum().backward(), model, [])
    assert counted.recomputed == 3 * 2 * B * D * H


def test_bytes_that_stay(adamw):
    adamw()
    parameters = 5 * 7 + 7 + 7 * 3 + 3
    optimizer = torch.optim.SGD(adamw.model.parameters(), momentum=0.9)
    assert held_bytes(adamw.model) == 4 * 2 * parameters
    assert (
        held_bytes(adamw.model, list(adamw.model.parameters()), {"x": torch.ones(3)}, optimizer) == 8 * parameters + 12
    )
    optimizer.step()
    assert held_bytes(optimizer) == 4 * parameters


def test_memory_returns_to_where_it_was_and_is_the_same_every_time(adamw):
    held = watch_memory(adamw)
    assert held.bytes[-1] == 0
    assert held == watch_memory(adamw)


def test_the_peak_of_an_inference_by_hand():
    layers, x = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3)), torch.randn(11, 5)
    with torch.no_grad():
        assert watch_memory(lambda: layers(x)).peak == 4 * 11 * (7 + 7)


@pytest.mark.parametrize(("run", "kept"), [(lambda block, x: block(x), 3 * 2 * H), (RUNS["non-reentrant"], 2 * H)])
def test_the_peak_of_a_training_holds_what_is_kept(run, kept):
    model, x = Blocks(run), torch.randn(B, D, requires_grad=True)
    peak = watch_memory(lambda: torch.autograd.grad(model(x).square().sum(), x)).peak
    kept += 3 * D  # the inputs of two blocks, and what is squared
    assert 4 * B * kept < peak < 4 * B * (kept + 2 * D + 2 * H)  # with a gradient or two


def test_what_a_step_keeps_stays():
    kept, x = [], torch.ones(4)
    assert watch_memory(lambda: kept.append(x + 1)).bytes == (16, 16)
    assert watch_memory(lambda: None).peak == 0


def test_what_a_product_of_shards_gathers_is_held():
    with fake_ranks(2):
        mesh = init_device_mesh("cpu", (2,))
        x, w = (DTensor.from_local(torch.ones(rows, columns), mesh, [Shard(0)]) for rows, columns in ((2, 6), (3, 5)))
        found = watch_memory(lambda: x @ w)
    assert "_c10d_functional::all_gather_into_tensor" in found.operators
    assert found.peak == 4 * (6 * 5 + 2 * 5)  # the whole of w, and this rank's rows of the product
